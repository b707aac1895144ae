#!/usr/bin/env bash
# Measures how long containers take to start with mlctr and its peers, in one run, and prints a Markdown table.
# Usage: tests/bench/run.sh [--runs N] [--only TOOL,TOOL] ; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo (stores are on a tmpfs of its own, and /dev/fuse is opened to users as udev would).
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/install.sh build images bench >&2
if [ -z "${MLCTR:-}" ]; then
  cmake --preset release >&2
  ninja -C build/release mlctr >&2
  MLCTR=$PWD/build/release/src/cli/mlctr
fi
tests/fixtures/build.sh >&2
export MLCTR PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" = 0 ]; then
  exec /usr/bin/python3 tests/bench/run.py "$@"
else
  exec sudo --preserve-env=MLCTR,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE /usr/bin/python3 tests/bench/run.py "$@"
fi
