#!/usr/bin/env bash
# The main job from nothing: installs what is missing with apt, builds mlctr, pulls an image and looks at it.
# Works as root and as a user with sudo. Everything it makes lies in build/; run it as often as you like.
# The image is python:3.8 from Docker Hub; where that can't be reached, one made of Debian's packages from a registry started here.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/build/quickstart
export MLCTR_STORE=$work/store PATH=$PWD/build/release/src/cli:$PATH

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

say "1. What mlctr is built with"
tests/install.sh build example
echo "all there"

say "2. Building (the first time takes a few minutes)"
cmake --preset release >/dev/null
ninja -C build/release --quiet mlctr
mkdir -p "$work"
mlctr version

hub_answers() { timeout 4 bash -c 'exec 3<>/dev/tcp/registry-1.docker.io/443' 2>/dev/null; }

image=python:3.8
if ! hub_answers; then
  say "Docker Hub can't be reached from here: making a Python image of this system's packages, in a registry on this machine"
  tests/install.sh images
  fixtures=$(tests/fixtures/build.sh)
  coproc REGISTRY { exec /usr/bin/python3 -B tests/servers/start.py "$fixtures/registry"; }
  read -r -t 30 host _ <&"${REGISTRY[0]}"
  image=$host/library/python:3.8
  rm -rf "$work/store"  # its images are of an earlier registry's, on another port
fi

say "3. The main job"
show mlctr pull "$image"
show mlctr images
show mlctr inspect "$image"
rm -f "$work/python.sqsh"
show mlctr export "$image" "$work/python.sqsh"
say "\$ unsquashfs -l $work/python.sqsh | grep bin/python"
unsquashfs -l "$work/python.sqsh" | grep 'bin/python'

say "Done. The store is $MLCTR_STORE; try: MLCTR_STORE=$MLCTR_STORE $PWD/build/release/src/cli/mlctr --help"
