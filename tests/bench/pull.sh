#!/usr/bin/env bash
# Measures `mlctr pull` against other ways to the same, in one run, and prints a Markdown table (progress on stderr).
# Usage: tests/bench/pull.sh [--runs N] [--only TOOL,TOOL] ; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo (stores are on a tmpfs of its own), 12 GB of memory, and some minutes for the image, which is kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/install.sh build images bench >&2
if [ -z "${MLCTR:-}" ]; then
  cmake --preset release >&2
  ninja -C build/release mlctr >&2
  MLCTR=$PWD/build/release/src/cli/mlctr
fi
export MLCTR PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" = 0 ]; then
  exec /usr/bin/python3 tests/bench/pull.py "$@"
else
  exec sudo --preserve-env=MLCTR,XDG_CACHE_HOME,HOME,PYTHONDONTWRITEBYTECODE /usr/bin/python3 tests/bench/pull.py "$@"
fi
