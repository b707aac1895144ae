#include "base/late_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "base/error.hpp"

namespace mlctr {

LateLibrary::LateLibrary(const char* soname, const char* package)
    : soname_(soname), handle_(::dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  const std::string cause = ::dlerror();
  // It is installed, but does not fit into the memory that a login node allows a process.
  const bool is_short_of_memory =
      cause.find("failed to map") != cause.npos || cause.find("cannot allocate") != cause.npos;
  throw Error(fmt::format("cannot load {}: {}", soname, cause),
              is_short_of_memory ? "this process may use little memory: `ulimit -v` shows and changes the limit"
                                 : fmt::format("install it: apt install {}", package));
}

void* LateLibrary::function(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) throw Error(fmt::format("{} has no function {}", soname_, name));
  return found;
}

}  // namespace mlctr
