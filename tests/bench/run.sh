#!/usr/bin/env bash
# Measures how long containers take to start with mlctr and its peers, in one run, and prints a Markdown table.
# Usage: tests/bench/run.sh [--runs N] [--only TOOL,TOOL] ; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo (stores are on a tmpfs of its own, and /dev/fuse is opened to users as udev would).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh
tests/fixtures/build.sh >&2
measure_as_root run.py "$@"
