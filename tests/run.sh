#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. Usage: tests/run.sh [--quick] [-k PATTERN] [--build-only]
#   --quick       release build, unit tests and the smoke suite only
#   -k PATTERN    only suites, or tests of the integration suites, whose name has PATTERN in it
#   --build-only  stop after the builds
# A test that can't run here counts as failed (unset MLCTR_STRICT= to let it skip). MLCTR=BINARY tests that instead of a release
# build. Where $CI is set, what fails is run once more; what passes then is listed as flaky at the end. Logs: build/test-logs.
# Suites run in two lanes, side by side: much of what they do is waiting. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD logs=$PWD/build/test-logs
export MLCTR_STRICT=${MLCTR_STRICT-1} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LC_ALL=C.UTF-8
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1  # another clone finds what this one compiled
python=/usr/bin/python3  # the system's: another one first in PATH may lack what Debian's has
fuzz_seconds=${FUZZ_SECONDS:-15}

quick=false pattern='' build_only=false
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=true ;;
    --build-only) build_only=true ;;
    -k) pattern=${2:?-k needs a pattern}; shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done

results=$logs/results  # a line a suite: its name, how many of its tests passed and failed, and ok, FAILED or flaky
child='' keep_alive='' lanes=()
privileged=()  # what a suite is started and ended through: sudo, where it needs root and whoever runs this isn't
stop() {
  trap - EXIT INT TERM
  # Servers and pulls die with the suite that started them (PR_SET_PDEATHSIG).
  [ -z "$child" ] || "${privileged[@]}" kill -- -"$child" "$child" 2>/dev/null || true
  [ ${#lanes[@]} = 0 ] || { kill "${lanes[@]}" 2>/dev/null || true; wait "${lanes[@]}" || true; }
  [ -z "$keep_alive" ] || kill "$keep_alive" 2>/dev/null || true
}
trap 'stop' EXIT
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM

# Runs COMMAND with its output kept, and shown with its name, for at most SECONDS. Usage: logged NAME SECONDS COMMAND...
logged() {
  local name=$1 seconds=$2 log=$logs/$1.log started=$SECONDS result=0 reader
  shift 2
  echo "=== $name"
  : > "$log"
  "${privileged[@]}" timeout --kill-after=15 "$seconds" "$@" > "$log" 2>&1 < /dev/null &
  child=$!
  tail -n +1 -s 0.2 -f --pid="$child" "$log" | sed -u "s/^/$name: /" &
  reader=$!
  wait "$child" || result=$?
  child=
  wait "$reader" || true
  [ $result != 124 ] || echo "$name: not done after $seconds s" | tee -a "$log"
  echo "=== $name: $([ $result = 0 ] && echo ok || echo "FAILED ($result)"), $((SECONDS - started)) s"
  return $result
}

# Adds up what a suite said of itself: doctest's or our runner's summary; a suite without one is a single test.
count() {
  local log=$1 result=$2 good=0 bad=0 doctest
  doctest=$(sed -n 's/^.*\[doctest\] test cases: *[0-9]* *| *\([0-9]*\) passed *| *\([0-9]*\) failed.*/\1 \2/p' "$log" | tail -n1)
  [ -n "$doctest" ] || doctest=$(sed -n 's/^\([0-9]*\) ok, \([0-9]*\) not ok.*/\1 \2/p' "$log" | tail -n1)
  if [ -n "$doctest" ]; then read -r good bad <<< "$doctest"; elif [ "$result" = 0 ]; then good=1; else bad=1; fi
  if [ "$result" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  note "$(basename "$log" .log)" $good $bad $([ $bad = 0 ] && echo ok || echo FAILED)
}

note() { echo "$*" >> "$results"; }

suite() {
  local result=0
  logged "$@" || result=$?
  [ $result != 77 ] || [ -n "$MLCTR_STRICT" ] || { echo "=== $1: skipped"; return; }
  count "$logs/$1.log" $result
}

# The same for one whose tests are not run again one by one (tests/integration/run.py does that).
suite_again() {
  local result=0
  [ -n "${CI:-}" ] || { suite "$@"; return; }
  logged "$@" || result=$?
  if [ $result != 0 ]; then
    cp "$logs/$1.log" "$logs/$1.first.log"
    echo "flaky or broken $1: once more; $logs/$1.first.log has what failed"
    suite "$@"
    grep -q "^$1 .* FAILED" "$results" || note "$1" 0 0 flaky
  else
    count "$logs/$1.log" $result
  fi
}

wanted() { [[ -z $pattern || $1 == *"$pattern"* ]]; }

# Configures build/PRESET and builds the targets whose names match REGEX; a failure counts as one. Usage: build PRESET REGEX
build() {
  local name
  try_build "$@" && return
  for name in "build-$1" "configure-$1"; do
    [ ! -e "$logs/$name.log" ] || break
  done
  note "$name" 0 1 FAILED
}

try_build() {
  local preset=$1 targets
  logged "configure-$preset" 300 cmake --preset "$preset" || return
  targets=$(ninja -C "build/$preset" -t targets all | sed -n "s/^\($2\): phony\$/\1/p" | sort -u)
  # shellcheck disable=SC2086  # one word a target
  [ -z "$targets" ] || logged "build-$preset" 1800 nice ninja -C "build/$preset" $targets
}

executables() { find "build/$1" -type f -perm -u+x -name "$2" | sort; }

unit_suites() {
  local preset=$1 binary
  for binary in $(executables "$preset" 'unit_*'); do
    wanted "$preset-$(basename "$binary")" || continue
    suite_again "$preset-$(basename "$binary")" 600 "$binary"
  done
}

fuzz_suites() {
  local binary name
  for binary in $(executables fuzz 'fuzz_*'); do
    name=$(basename "$binary")
    wanted "$name" || continue
    mkdir -p "$logs/$name.corpus"
    local corpora=("$logs/$name.corpus")
    [ ! -d "tests/fuzz/corpus/${name#fuzz_}" ] || corpora+=("tests/fuzz/corpus/${name#fuzz_}")
    suite "$name" $((fuzz_seconds + 60)) "$binary" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=3000 \
      -print_final_stats=1 -artifact_prefix="$logs/$name-" "${corpora[@]}"
  done
}

# As root: they become an ordinary user of their own, and look at its processes, mounts and files.
integration_suites() {
  local file name privileged=("${as_root[@]}")
  for file in $("$quick" && echo tests/integration/smoke_test.py || echo tests/{integration,hostile}/*_test.py); do
    name=$(basename "$file" .py)
    MLCTR=$mlctr suite "$name" 900 "$python" tests/integration/run.py ${pattern:+-k "$pattern"} "$file"
  done
}

# As root as well, each in both of the ways a cluster is run: with nothing installed, and with the plugin.
slurm_suites() {
  local file name mode privileged=("${as_root[@]}")
  mkdir "$logs/slurm" 2>/dev/null || return 0  # the other lane came first
  for mode in srun plugin; do
    for file in tests/slurm/*_test.py; do
      name=slurm-$mode-$(basename "$file" .py)
      # srun_test is about mlctr srun, plugin_test about the plugin.
      case $mode-$file in plugin-*/srun_test.py | srun-*/plugin_test.py) continue ;; esac
      suite "$name" 900 env MLCTR="$mlctr" MLCTR_SLURM_MODE="$mode" "$python" tests/integration/run.py ${pattern:+-k "$pattern"} "$file"
    done
  done
}

# Usage: lane COMMAND... ; each runs in its turn, beside the other lanes.
lane() {
  (
    lanes=() keep_alive=''
    trap 'stop; exit 143' INT TERM
    for step in "$@"; do $step; done
  ) &
  lanes+=($!)
}

finish() {
  local name
  for name in $(sed -n 's/ .* FAILED$//p' "$results"); do
    printf '\n--- %s (%s)\n' "$name" "$logs/$name.log"
    grep -v '^ok ' "$logs/$name.log" | tail -n 60
  done
  echo
  sed -n 's/^\([^ ]*\) .* flaky$/flaky \1/p' "$results"
  grep -h '^flaky ' "$logs"/*.log || true
  ! grep -q ' FAILED$' "$results" || echo "failed:$(sed -n 's/^\([^ ]*\) .* FAILED$/ \1/p' "$results" | tr -d '\n')"
  awk '{ passed += $2; failed += $3 } END { print passed + 0 " passed, " failed + 0 " failed"; exit(failed > 0) }' "$results"
  exit
}

mkdir -p "$logs"
rm -f "$logs"/*.log
rm -rf "$logs/slurm"
: > "$results"
if [ "$(id -u)" != 0 ]; then  # asks once, if it must; the suites use sudo without asking
  sudo -v
  while sleep 60; do sudo -n -v; done & keep_alive=$!
fi
logged install 1200 tests/install.sh build images test $("$quick" || echo slurm)

mlctr=${MLCTR:-$root/build/release/src/cli/mlctr}
as_root=(unshare --mount)  # no lane sees what the other one mounts
[ "$(id -u)" = 0 ] || as_root=(sudo -n env XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" MLCTR="$mlctr" MLCTR_STRICT="$MLCTR_STRICT"
  PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LC_ALL=C.UTF-8 "${as_root[@]}")  # with what sudo would drop
build release "progress_demo\|image_server_demo$([ -n "${MLCTR:-}" ] || echo '\|mlctr\|spank_mlctr')$("$quick" && echo '\|unit_[a-z_]*')"
[ -x "$mlctr" ] || finish
logged fixtures 900 tests/fixtures/build.sh

build_all() {
  build dev 'unit_[a-z_]*'
  build tsan 'unit_\(app\|base\|registry\|runtime\|squashfs\|store\)'  # those that start threads
  build fuzz 'fuzz_[a-z_]*'
}
thread_suites() { TSAN_OPTIONS=suppressions=$root/tests/tsan-suppressions.txt unit_suites tsan; }

if $build_only; then
  $quick || build_all
elif $quick; then
  unit_suites release
  integration_suites
else
  lane integration_suites slurm_suites  # by whichever lane is there first: the builds take from 2 to 30 minutes
  lane build_all 'unit_suites dev' thread_suites fuzz_suites slurm_suites
  wait "${lanes[@]}" || true
  lanes=()
fi
finish
