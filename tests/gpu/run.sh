#!/usr/bin/env bash
# What only a host with an NVIDIA GPU can show. Usage: tests/gpu/run.sh [MLCTR-BINARY] [IMAGE]
#   IMAGE  any glibc image that is there already: a .sqsh file, oci:DIR, or a reference in the store. Without one: the host's own
#          /bin, /lib and /usr, packed with mksquashfs if that is at hand.
# Needs no network. Runs as who starts it; as root also as an ordinary user, where there is one (SUDO_USER, else nobody).
# Each line: ok, FAILED or skipped, with the reason. Exit code: how many failed.
set -uo pipefail
mlctr=$(realpath "${1:-build/release/src/cli/mlctr}") image=${2:-}
work=$(mktemp -d) failed=0
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
export MLCTR_STORE=$work/store

say() { printf '%-8s %s\n' "$1" "$2"; }
ok() { say ok "$1"; }
bad() { say FAILED "$1"; failed=$((failed + 1)); }
skip() { say skipped "$1"; }
check() { # TITLE COMMAND...
  local title=$1; shift
  if "$@" > "$work/out" 2>&1; then ok "$title"; else bad "$title: $(tail -3 "$work/out" | tr '\n' ' ')"; fi
}
in_gpu() { local gpus=$1; shift; "$mlctr" run --gpus "$gpus" "$image" "$@"; }

command -v nvidia-smi > /dev/null || { skip "all: no nvidia-smi on this host"; exit 0; }
nvidia-smi -L > "$work/outside" 2>&1 || { skip "all: nvidia-smi -L fails here: $(head -1 "$work/outside")"; exit 0; }
printf 'driver %s, kernel %s\n' "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)" "$(uname -r)"
sed 's/^/  /' "$work/outside"
if [ -z "$image" ]; then
  command -v mksquashfs > /dev/null || { skip "all: no IMAGE given, and no mksquashfs to make one with"; exit 0; }
  mkdir -p "$work"/root/{proc,sys,dev,tmp,run,etc,usr/bin,lib64}
  cp -L /lib64/ld-linux-x86-64.so.2 "$work/root/lib64/" 2> /dev/null
  for program in sh ls cat env grep; do
    path=$(command -v "$program") && cp -L "$path" "$work/root/usr/bin/" || continue
    ldd "$path" 2> /dev/null | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" "$work/root"; done
  done
  for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libgcc_s.so.1; do
    path=$(ldconfig -p | awk -v n="$name" '$1 == n && /x86-64/ { print $NF; exit }')
    [ -z "$path" ] || cp -L --parents "$path" "$work/root"
  done
  ln -s usr/bin "$work/root/bin"
  image=$work/image.sqsh
  mksquashfs "$work/root" "$image" -quiet -no-progress -comp zstd > /dev/null || { bad "mksquashfs"; exit 1; }
  chmod 644 "$image"
fi

same_list() { in_gpu all nvidia-smi -L > "$work/inside" && diff "$work/outside" "$work/inside"; }
first_uuid=$(grep -o 'GPU-[0-9a-f-]*' "$work/outside" | head -1)
first_bus=$(nvidia-smi --query-gpu=pci.bus_id --format=csv,noheader | head -1)
sees_one() { [ "$(in_gpu "$1" nvidia-smi -L | grep -c '^GPU ')" = 1 ]; }
run_tests() {
  check "$1: nvidia-smi -L inside is nvidia-smi -L outside" same_list
  check "$1: device=0" sees_one device=0
  check "$1: a UUID" sees_one "$first_uuid"
  check "$1: a PCI id" sees_one "device=$first_bus"
  check "$1: a count" sees_one 1
  check "$1: none has the driver and no GPU" in_gpu none sh -c '! ls /dev/nvidia0 2>/dev/null && test -e /run/mlctr/driver/lib64/libcuda.so.1'
  check "$1: void has nothing" in_gpu void sh -c '! test -e /dev/nvidiactl && ! test -e /run/mlctr/driver'
  check "$1: an unknown GPU is refused" sh -c "! '$mlctr' run --gpus device=77 '$image' true 2> '$work/e' && grep -q 'there are: 0' '$work/e'"
  check "$1: utility alone has no libcuda" in_gpu all,capabilities=utility sh -c '! test -e /run/mlctr/driver/lib64/libcuda.so.1 && nvidia-smi -L'
  check "$1: no program makes nodes" in_gpu all grep -q 'ModifyDeviceFiles: 0' /proc/driver/nvidia/params
  check "$1: /proc shows the chosen GPU alone" in_gpu device=0 sh -c '[ "$(ls /proc/driver/nvidia/gpus | grep -c :)" = 1 ]'
  check "$1: read-only" "$mlctr" run --read-only --gpus all "$image" nvidia-smi -L
}
run_tests "$(id -un)"

# A program of the driver's own API: context, memory, a kernel from PTX (which the driver compiles).
if command -v gcc > /dev/null; then
  cat > "$work/cuda.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
static const char *ptx = ".version 6.0\n.target sm_50\n.address_size 64\n.visible .entry add(.param .u64 p) {\n"
  ".reg .b32 %r<3>; .reg .b64 %d<4>;\nld.param.u64 %d1,[p]; cvta.to.global.u64 %d2,%d1; mov.u32 %r1,%tid.x;\n"
  "mul.wide.u32 %d3,%r1,4; add.s64 %d2,%d2,%d3; ld.global.u32 %r2,[%d2]; add.u32 %r2,%r2,%r1; st.global.u32 [%d2],%r2; ret; }\n";
#define F(name, ...) int (*name)(__VA_ARGS__) = (int (*)(__VA_ARGS__))dlsym(h, #name)
#define T(call) do { int e = (call); if (e) return printf("%s: %d\n", #call, e), 1; } while (0)
int main(void) {
  void *h = dlopen("libcuda.so.1", RTLD_NOW);
  if (!h) return puts(dlerror()), 1;
  F(cuInit, unsigned); F(cuDeviceGet, int *, int); F(cuCtxCreate_v2, void **, unsigned, int); F(cuMemAlloc_v2, unsigned long long *, unsigned long);
  F(cuMemcpyHtoD_v2, unsigned long long, void *, unsigned long); F(cuMemcpyDtoH_v2, void *, unsigned long long, unsigned long);
  F(cuModuleLoadData, void **, const void *); F(cuModuleGetFunction, void **, void *, const char *); F(cuCtxSynchronize, void);
  F(cuLaunchKernel, void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
  int device; void *context, *module, *function; unsigned long long memory; int numbers[32];
  for (int i = 0; i < 32; ++i) numbers[i] = 100;
  T(cuInit(0)); T(cuDeviceGet(&device, 0)); T(cuCtxCreate_v2(&context, 0, device)); T(cuMemAlloc_v2(&memory, sizeof numbers));
  T(cuMemcpyHtoD_v2(memory, numbers, sizeof numbers)); T(cuModuleLoadData(&module, ptx)); T(cuModuleGetFunction(&function, module, "add"));
  void *parameters[] = {&memory};
  T(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, 0, parameters, 0)); T(cuCtxSynchronize());
  T(cuMemcpyDtoH_v2(numbers, memory, sizeof numbers));
  return numbers[31] == 131 ? 0 : 1;
}
C
  if gcc -O1 "$work/cuda.c" -o "$work/cuda" -ldl 2> "$work/e"; then
    check "a program of CUDA's driver API runs a kernel from PTX" "$mlctr" run --gpus all --mount "$work/cuda:/cuda:ro" "$image" /cuda
  else
    skip "CUDA's driver API: $(head -1 "$work/e")"
  fi
else
  skip "CUDA's driver API: no gcc here"
fi
if python3 -c 'import torch' 2> /dev/null; then
  matmul='import torch; a = torch.ones(256, 256, device="cuda", dtype=torch.bfloat16); assert (a @ a)[0, 0].item() == 256'
  options=()
  for path in /usr /lib /lib64 /opt; do [ -e "$path" ] && options+=(--mount "$path:$path:ro"); done
  check "torch multiplies in bf16" "$mlctr" run --gpus all "${options[@]}" "$image" "$(command -v python3)" -c "$matmul"
else
  skip "torch: this host's python3 has none"
fi
if [ "$(id -u)" = 0 ]; then
  user=${SUDO_USER:-nobody}
  mkdir -p "$work/user" && chown "$user" "$work/user"
  as_user="env HOME=$work/user XDG_RUNTIME_DIR=$work/user MLCTR_STORE=$work/user/store $mlctr"
  check "$user: nvidia-smi -L" setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups sh -c "cd /tmp && $as_user run --gpus all '$image' nvidia-smi -L | diff '$work/outside' -"
else
  skip "as root: started by $(id -un)"
fi
exit "$failed"
