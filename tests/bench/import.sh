#!/usr/bin/env bash
# Measures how long a heavy Python stack takes to import in a container, cold and warm, against an unpacked directory, in
# one run, and prints a Markdown table (progress on stderr). Installs the stack by apt-get, in a container.
# Usage: tests/bench/import.sh [--runs N] ; MLCTR=BINARY measures that instead of a release build. Needs root or sudo.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh
tests/fixtures/build.sh >&2
measure_as_root import.py "$@"
