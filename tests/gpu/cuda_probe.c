/* A program of CUDA's driver API: a context, memory, and a kernel from PTX, which the driver compiles. It needs no header of
   CUDA's, and no library to be built: gcc -O1 cuda_probe.c -o cuda_probe -ldl */
#include <dlfcn.h>
#include <stdio.h>

static const char *ptx =
    ".version 6.0\n.target sm_50\n.address_size 64\n"
    ".visible .entry add(.param .u64 p) {\n"
    "  .reg .b32 %r<3>; .reg .b64 %d<4>;\n"
    "  ld.param.u64 %d1, [p]; cvta.to.global.u64 %d2, %d1;\n"
    "  mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; add.s64 %d2, %d2, %d3;\n"
    "  ld.global.u32 %r2, [%d2]; add.u32 %r2, %r2, %r1; st.global.u32 [%d2], %r2; ret;\n"
    "}\n";

#define FUNCTION(name, ...) int (*name)(__VA_ARGS__) = (int (*)(__VA_ARGS__))dlsym(library, #name)
#define TRY(call)                                          \
  do {                                                     \
    const int error = (call);                              \
    if (error) return printf("%s: %d\n", #call, error), 1; \
  } while (0)

int main(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) return puts(dlerror()), 1;
  FUNCTION(cuInit, unsigned);
  FUNCTION(cuDeviceGet, int *, int);
  FUNCTION(cuCtxCreate_v2, void **, unsigned, int);
  FUNCTION(cuMemAlloc_v2, unsigned long long *, unsigned long);
  FUNCTION(cuMemcpyHtoD_v2, unsigned long long, void *, unsigned long);
  FUNCTION(cuMemcpyDtoH_v2, void *, unsigned long long, unsigned long);
  FUNCTION(cuModuleLoadData, void **, const void *);
  FUNCTION(cuModuleGetFunction, void **, void *, const char *);
  FUNCTION(cuCtxSynchronize, void);
  FUNCTION(cuLaunchKernel, void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
           void **);
  if (!cuInit || !cuLaunchKernel) return puts("this libcuda is none"), 1;

  int device, numbers[32];
  void *context, *module, *function;
  unsigned long long memory;
  for (int i = 0; i < 32; ++i) numbers[i] = 100;
  TRY(cuInit(0));
  TRY(cuDeviceGet(&device, 0));
  TRY(cuCtxCreate_v2(&context, 0, device));
  TRY(cuMemAlloc_v2(&memory, sizeof numbers));
  TRY(cuMemcpyHtoD_v2(memory, numbers, sizeof numbers));
  TRY(cuModuleLoadData(&module, ptx));
  TRY(cuModuleGetFunction(&function, module, "add"));
  void *parameters[] = {&memory};
  TRY(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, 0, parameters, 0));
  TRY(cuCtxSynchronize());
  TRY(cuMemcpyDtoH_v2(numbers, memory, sizeof numbers));
  return numbers[31] == 131 ? 0 : 1;
}
