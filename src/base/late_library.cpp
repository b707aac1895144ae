#include "base/late_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/error.hpp"

namespace mlctr {

LateLibrary::LateLibrary(const char* soname, const char* package)
    : soname_(soname), handle_(::dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) {
    throw Error(fmt::format("cannot load {}: {}", soname, ::dlerror()),
                fmt::format("install it: apt install {}", package));
  }
}

void* LateLibrary::function(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) throw Error(fmt::format("{} has no function {}", soname_, name));
  return found;
}

}  // namespace mlctr
