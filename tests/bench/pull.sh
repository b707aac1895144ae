#!/usr/bin/env bash
# Measures `mlctr pull` against other ways to the same, in one run, and prints a Markdown table (progress on stderr).
# Usage: tests/bench/pull.sh [--runs N] [--only TOOL,TOOL] ; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo (stores are on a tmpfs of its own), 12 GB of memory, and some minutes for the image, which is kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh
measure_as_root pull.py "$@"
