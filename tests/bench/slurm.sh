#!/usr/bin/env bash
# Measures what containers cost a Slurm step, with the plugin and with `mlctr srun`, in a cluster on this machine, in one run,
# and prints a Markdown table. Usage: tests/bench/slurm.sh [--runs N]; MLCTR=BINARY measures that instead of a release build.
# Needs root or sudo.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/install.sh build slurm >&2
. tests/bench/prepare.sh
[ -e "$(dirname "$MLCTR")/../spank/spank_mlctr.so" ] || ninja -C build/release spank_mlctr >&2
tests/fixtures/build.sh >&2
measure_as_root slurm.py "$@"
