#!/usr/bin/env bash
# Measures `mlctr save` of a container with a base of 1 GiB and 10 MiB of changes against mksquashfs of the merged tree, in
# one run, and prints a Markdown table. mksquashfs gets the best case: the tree lies unpacked, its compressor is at its fastest.
# Usage: tests/bench/save.sh [RUNS] ; MLCTR=BINARY measures that instead of a release build. All in memory: 5 GiB of /dev/shm.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/prepare.sh
runs=${1:-5}
work=$(mktemp -d /dev/shm/mlctr-save-XXXXXX)
trap 'rm -rf "$work"' EXIT
export MLCTR_STORE=$work/store MLCTR_RUNTIME_DIR=$work/run XDG_CONFIG_HOME=$work MLCTR_CONTAINERS=$work/containers
mksquashfs_fast=(mksquashfs "$work/merged" "$work/merged.sqsh" -comp zstd -Xcompression-level 1 -noappend -quiet -no-progress)

# Files of this machine whose names end in $2, up to $1 bytes together.
some_files() {
  find /usr -xdev -type f -readable -size -64M -name "*$2" -printf '%s %p\n' | LC_ALL=C sort -k2 |
    awk -v limit="$1" '{ bytes += $1; sub(/^[0-9]+ /, ""); if (bytes <= limit) print }'
}

echo "making a tree of 1 GiB" >&2
mkdir -p "$work/merged" "$work/changes/opt"
some_files $((1 << 30)) "" | tar -C / -cf - -T - 2>/dev/null | tar -C "$work/merged" -xf -
some_files $((10 << 20)) .py | tar -C / --transform 's,^,opt/,' -cf - -T - 2>/dev/null | tar -C "$work/changes" -xf -
"${mksquashfs_fast[@]/merged.sqsh/base.sqsh}"
cp -a "$work/changes/." "$work/merged"
"$MLCTR" create --name bench "$work/base.sqsh" >&2
cp -a "$work/changes/." "$work/containers/bench/upper"

seconds() {
  local began=$EPOCHREALTIME
  "$@" > /dev/null 2>&1
  awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((i = 0; i < runs; ++i)); do
  echo "run $((i + 1)) of $runs" >&2
  seconds "$MLCTR" save --force bench "$work/saved.sqsh" >> "$work/save.times"
  seconds "${mksquashfs_fast[@]}" >> "$work/mksquashfs.times"
done
save=$(median < "$work/save.times") mksquashfs=$(median < "$work/mksquashfs.times")
files=$(find "$work/merged" -type f | wc -l) changed=$(find "$work/changes" -type f | wc -l)
mib() { echo $(($(stat -c %s "$1") >> 20)); }
echo "$(nproc) processors, $files files ($changed changed), base image $(mib "$work/base.sqsh") MiB; medians of $runs"
echo
echo "| | seconds | image |"
echo "|---|---|---|"
printf '| mlctr save | %.2f | %d MiB |\n' "$save" "$(mib "$work/saved.sqsh")"
printf '| mksquashfs -comp zstd -Xcompression-level 1 | %.2f | %d MiB |\n' "$mksquashfs" "$(mib "$work/merged.sqsh")"
awk -v a="$save" -v b="$mksquashfs" 'BEGIN { printf "\nsave takes %.1f%% of mksquashfs (goal: at most 15%%)\n", 100 * a / b; exit a > 0.15 * b }'
