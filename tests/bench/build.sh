#!/usr/bin/env bash
# Measures `mlctr build` against other builders on one Containerfile, in one run: built whole, again with nothing changed, again
# with a file of a COPY changed. Prints a Markdown table (progress on stderr).
# Usage: tests/bench/build.sh [--runs N] [--only TOOL,TOOL] ; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo (stores are on a tmpfs of its own, and /dev/fuse is opened to users as udev would).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh
tests/fixtures/build.sh >&2
measure_as_root build.py "$@"
