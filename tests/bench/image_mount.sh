#!/usr/bin/env bash
# Measures mlctr's image mount against squashfuse_ll, the kernel's squashfs and a plain directory, in one run, and prints a
# Markdown table (progress on stderr). Usage: tests/bench/image_mount.sh [--runs N] [--files N]
# Needs root (everything lies on a tmpfs of its own), squashfuse, and 8 GB of memory.
# MLCTR_IMAGE_SERVER_DEMO=BINARY measures that instead of a release build.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -z "${MLCTR_IMAGE_SERVER_DEMO:-}" ]; then
  tests/install.sh build bench >&2
  cmake --preset release >&2
  ninja -C build/release image_server_demo >&2
  MLCTR_IMAGE_SERVER_DEMO=$PWD/build/release/tests/unit/runtime/image_server_demo
fi
export MLCTR_IMAGE_SERVER_DEMO PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/bench/image_mount.py "$@"
