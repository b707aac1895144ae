#!/usr/bin/env bash
# The main job from nothing: installs what is missing with apt, builds mlctr, pulls a python image, installs a package into a
# named container as mapped root, and runs a script that uses it, all as an ordinary user.
# Works as root (the ordinary user is then nobody) and as a user with sudo, as often as you like.
# The image is python:3.8 from Docker Hub; where that can't be reached, one made of Debian's packages from a registry started here.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "${as_user[@]}" "$@"; }

say "1. What mlctr is built with"
tests/install.sh build
echo "all there"

say "2. Building (the first time takes a few minutes)"
cmake --preset release >/dev/null
ninja -C build/release --quiet mlctr

# The ordinary user's own directory, with the binary: a root's home is closed to others.
if [ "$(id -u)" = 0 ]; then
  work=/var/tmp/mlctr-quickstart
  install -d -o nobody -g nogroup "$work"
  as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  chmod 666 /dev/fuse  # as udev has it, where there is one
else
  work=$PWD/build/quickstart
  mkdir -p "$work"
  as_user=()
  [ -w /dev/fuse ] || sudo chmod 666 /dev/fuse
fi
install build/release/src/cli/mlctr "$work/mlctr"
# Ubuntu lets only programs with a profile of AppArmor's make user namespaces (mlctr doctor).
if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
  profile=/etc/apparmor.d/mlctr-quickstart as_root=(sudo)
  [ "$(id -u)" != 0 ] || as_root=()
  printf 'abi <abi/4.0>,\ninclude <tunables/global>\nprofile mlctr-quickstart "%s" flags=(unconfined) {\n  userns,\n}\n' "$work/mlctr" |
    "${as_root[@]}" tee "$profile" >/dev/null
  "${as_root[@]}" apparmor_parser -r "$profile"
fi
real_home=$HOME
export MLCTR_STORE=$work/store MLCTR_RUNTIME_DIR=$work/run HOME=$work PATH=$work:$PATH
cd "$work"
repository=$OLDPWD
"${as_user[@]}" mlctr version

hub_answers() { timeout 4 bash -c 'exec 3<>/dev/tcp/registry-1.docker.io/443' 2>/dev/null; }

image=python:3.8
if ! hub_answers; then
  say "Docker Hub can't be reached from here: making a Python image of this system's packages, in a registry on this machine"
  "$repository/tests/install.sh" images
  fixtures=$(HOME=$real_home "$repository/tests/fixtures/build.sh")
  coproc REGISTRY { exec /usr/bin/python3 -B "$repository/tests/servers/start.py" "$fixtures/registry"; }
  read -r -t 30 host _ <&"${REGISTRY[0]}"
  image=$host/library/python:3.8
  rm -rf "$work/store"  # its images are of an earlier registry's, on another port
fi

say "3. The main job"
show mlctr pull "$image"
show mlctr images
"${as_user[@]}" mlctr rm --force quickstart 2>/dev/null || true

# What installs the package: pip where the image is Docker Hub's; else apt, which needs this machine's settings to reach a mirror.
if [ "$image" = python:3.8 ]; then
  show mlctr run --remap-root --name quickstart "$image" pip install --quiet pyyaml
else
  settings=(--mount /etc/apt:/host/apt:ro)
  for path in /usr/share/keyrings /usr/lib/apt/methods; do settings+=(--mount "$path:$path:ro"); done
  show mlctr run --remap-root --name quickstart "${settings[@]}" "$image" \
    sh -c 'rm -rf /etc/apt/sources.list* && cp -r /host/apt/. /etc/apt/ && apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-yaml >/dev/null'
fi

"${as_user[@]}" tee train.py >/dev/null <<'PYTHON'
import os, platform, yaml
settings = yaml.safe_load("epochs: 3")
for epoch in range(settings["epochs"]):
    print(f"epoch {epoch}: python {platform.python_version()} as uid {os.getuid()}, yaml {yaml.__version__}")
PYTHON
show mlctr run quickstart python3 train.py
show mlctr ps --all

say "Done. To go on: export MLCTR_STORE=$MLCTR_STORE MLCTR_RUNTIME_DIR=$MLCTR_RUNTIME_DIR PATH=$work:\$PATH; mlctr --help"
