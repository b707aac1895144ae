# Sourced by the benches, in the repository's root: installs what they compare with, builds a release mlctr unless $MLCTR
# names another, and gives measure_as_root.
tests/install.sh build images bench >&2
if [ -z "${MLCTR:-}" ]; then
  cmake --preset release >&2
  ninja -C build/release mlctr >&2
  MLCTR=$PWD/build/release/src/cli/mlctr
fi
export MLCTR PYTHONDONTWRITEBYTECODE=1

# Becomes tests/bench/NAME.py, as root. Usage: measure_as_root NAME.py [OPTIONS]
measure_as_root() {
  local script=tests/bench/$1 as_root=()
  shift
  [ "$(id -u)" = 0 ] || as_root=(sudo --preserve-env=MLCTR,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE)
  exec "${as_root[@]}" /usr/bin/python3 "$script" "$@"
}
