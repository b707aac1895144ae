#!/usr/bin/env bash
# What only a host with an NVIDIA GPU can show. Usage: tests/gpu/run.sh [MLCTR-BINARY] [IMAGE]
#   IMAGE  any glibc image that is there already: a .sqsh file or oci:DIR. Without one: a few of the host's own programs.
# Needs no network, no compiler, no python: what is missing is skipped and said. Runs as who starts it; as root also as an
# ordinary user (SUDO_USER, else nobody). CUDA_PROBE names cuda_probe.c's program where that was compiled elsewhere.
# With MLCTR_HOST_ROOT (tests/fixtures/fake_driver.py) all of it runs that needs no real driver: a test of this script.
# Each line: ok, FAILED or skipped, with the reason. Exit code: how many failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
given=$(realpath "${1:-$here/../../build/release/src/cli/mlctr}") image=${2:-} tree=${MLCTR_HOST_ROOT:-}
work=$(mktemp -d /tmp/mlctr-gpu-XXXXXX) failed=0
trap 'chmod -R u+rwX "$work" 2> /dev/null; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/run" && chmod 700 "$work/run"
export MLCTR_STORE=$work/store XDG_RUNTIME_DIR=$work/run
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin  # ldconfig and setpriv, for ordinary users

say() { printf '%-8s %s\n' "$1" "$2"; }
ok() { say ok "$1"; }
bad() { say FAILED "$1"; failed=$((failed + 1)); }
skip() { say skipped "$1"; }
end() { printf '%s failed\n' "$failed"; exit "$failed"; }
last_words() { tail -n 3 "$work/out" | tr '\n' ' '; }
check() { # TITLE COMMAND...
  local title=$1; shift
  if "$@" > "$work/out" 2>&1; then ok "$title"; else bad "$title: $(last_words)"; fi
}
mlctr() { timeout 60 "$work/mlctr" "$@"; }
in_gpu() { local gpus=$1; shift; mlctr run --gpus "$gpus" "$image" "$@"; }

# Where every user may run it.
cp "$given" "$work/mlctr" && chmod 755 "$work/mlctr" || { bad "no mlctr at $given: build it first"; end; }
mlctr version > "$work/out" 2>&1 || { bad "mlctr does not run here: $(last_words)"; end; }
if [ -n "$tree" ]; then nvidia_smi=$tree/usr/bin/nvidia-smi; else nvidia_smi=$(command -v nvidia-smi || true); fi
[ -n "$nvidia_smi" ] || { skip "all: no nvidia-smi on this host"; end; }
timeout 60 "$nvidia_smi" -L > "$work/outside" 2>&1 || { skip "all: nvidia-smi -L fails here: $(head -n 1 "$work/outside")"; end; }
query() { timeout 60 "$nvidia_smi" "--query-gpu=$1" --format=csv,noheader | head -n 1; }
printf 'driver %s, kernel %s\n' "$(query driver_version)" "$(uname -r)"
sed 's/^/  /' "$work/outside"

# A root of the host's own programs, each with the libraries it names.
make_image() {
  local root=$work/context/root program path library name
  mkdir -p "$root"/{proc,sys,dev,tmp,run,etc,usr/bin,lib64}
  for program in sh ls cat env grep true sort diff; do
    path=$(type -P "$program") && cp -L "$path" "$root/usr/bin/$program" || continue  # no builtin of this shell
    ldd "$path" 2> /dev/null | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" "$root"; done
  done
  for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libgcc_s.so.1; do
    path=$(ldconfig -p 2> /dev/null | awk -v n="$name" '$1 == n && /x86-64|AArch64/ { print $NF; exit }')
    [ -z "$path" ] || cp -L --parents "$path" "$root"
  done
  ln -s usr/bin "$root/bin"
  printf 'FROM scratch\nCOPY root /\n' > "$work/context/Containerfile"
  mlctr build -t test/gpu:1 "$work/context" && mlctr export test/gpu:1 "$work/image.sqsh" && chmod 644 "$work/image.sqsh"
}
if [ -z "$image" ]; then
  make_image > "$work/out" 2>&1 || { bad "cannot make an image: $(last_words)"; end; }
  image=$work/image.sqsh
fi
mlctr run "$image" /bin/true > "$work/out" 2>&1 || {
  bad "no container runs here, with or without a GPU: $(last_words)"
  mlctr doctor
  end
}

same_list() { in_gpu all nvidia-smi -L > "$work/inside" && diff "$work/outside" "$work/inside"; }
first_uuid=$(grep -o 'GPU-[0-9a-f-]*' "$work/outside" | head -n 1)
first_bus=$(query pci.bus_id)
sees_one() { in_gpu "$1" nvidia-smi -L > "$work/inside" && [ "$(grep -c '^GPU ' "$work/inside")" = 1 ]; }
is_refused() { ! mlctr run --gpus "$1" "$image" true 2> "$work/e" && grep -q 'there are: 0' "$work/e"; }
run_tests() {
  check "$1: nvidia-smi -L inside is nvidia-smi -L outside" same_list
  check "$1: device=0" sees_one device=0
  check "$1: a UUID" sees_one "$first_uuid"
  check "$1: a PCI id" sees_one "device=$first_bus"
  check "$1: a count" sees_one 1
  check "$1: none has the driver and no GPU" in_gpu none sh -c 'for n in /dev/nvidia[0-9]*; do ! test -e "$n" || exit 1; done; test -e /run/mlctr/driver/lib64/libcuda.so.1'
  check "$1: void has nothing" in_gpu void sh -c '! test -e /dev/nvidiactl && ! test -e /run/mlctr/driver'
  check "$1: an unknown GPU is refused, with the known ones" is_refused device=77
  check "$1: utility alone has no libcuda" in_gpu all,capabilities=utility sh -c '! test -e /run/mlctr/driver/lib64/libcuda.so.1 && nvidia-smi -L'
  check "$1: read-only" mlctr run --read-only --gpus all "$image" nvidia-smi -L
  if [ -n "$tree" ]; then
    skip "$1: /proc/driver/nvidia: a tree has no kernel module"
  else
    check "$1: no program makes nodes" in_gpu all grep -q 'ModifyDeviceFiles: 0' /proc/driver/nvidia/params
    check "$1: /proc shows the chosen GPU alone" in_gpu device=0 sh -c '[ "$(ls /proc/driver/nvidia/gpus | grep -c :)" = 1 ]'
  fi
}
run_tests "$(id -un)"

probe=${CUDA_PROBE:-}
if [ -z "$probe" ] && command -v gcc > /dev/null; then
  if gcc -O1 "$here/cuda_probe.c" -o "$work/cuda_probe" -ldl 2> "$work/e"; then probe=$work/cuda_probe; fi
fi
if [ -n "$tree" ]; then
  skip "CUDA's driver API: a tree has no kernel module"
elif [ -n "$probe" ]; then
  check "a program of CUDA's driver API runs a kernel from PTX" mlctr run --gpus all --mount "$(realpath "$probe"):/cuda:ro" "$image" /cuda
else
  skip "CUDA's driver API: no gcc here, and no CUDA_PROBE"
fi
if [ -z "$tree" ] && python3 -c 'import torch' 2> /dev/null; then
  matmul='import torch; a = torch.ones(256, 256, device="cuda", dtype=torch.bfloat16); assert (a @ a)[0, 0].item() == 256'
  options=()
  for path in /usr /lib /lib64 /opt "$(python3 -c 'import sys; print(sys.prefix)')"; do
    [ -e "$path" ] && options+=(--mount "$path:$path:ro")
  done
  check "torch multiplies in bf16" mlctr run --gpus all "${options[@]}" "$image" "$(command -v python3)" -c "$matmul"
else
  skip "torch: this host's python3 has none"
fi

# What a GPU adds to a start; said, not judged.
times_of() { # OPTIONS...: the best of 10, in ms
  local best=999999 begin took
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    begin=$(date +%s%N)
    mlctr run "$@" "$image" /bin/true > "$work/out" 2>&1 || return 1
    took=$((($(date +%s%N) - begin) / 10000))
    if [ "$took" -lt "$best" ]; then best=$took; fi
  done
  printf '%d.%02d' $((best / 100)) $((best % 100))
}
say time "run true: $(times_of) ms, with --gpus all: $(times_of --gpus all) ms"

if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
  user=${SUDO_USER:-nobody}
  mkdir -m 700 "$work/user" && chown "$user" "$work/user"
  as_user() {
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups env HOME="$work/user" XDG_RUNTIME_DIR="$work/user" \
      MLCTR_STORE="$work/user/store" TMPDIR="$work/user" timeout 60 "$work/mlctr" "$@"
  }
  user_list() { cd "$work/user" && as_user run --gpus all "$image" nvidia-smi -L > "$work/inside" && diff "$work/outside" "$work/inside"; }
  check "$user: nvidia-smi -L" user_list
else
  skip "as another user: started by $(id -un), or no setpriv here"
fi
end
