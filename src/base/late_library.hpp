// A shared library that most commands don't need, loaded when the first function of it is called: with libcurl's two
// dozen dependencies every start of a container would take twice as long (`mlctr version`: 5.8 ms of CPU time with all
// linked, 2.1 ms without libcurl, libarchive and libsquashfs). Source: dlopen(3); systemd does the same for the same
// reason.
//
//   struct LibZ {
//     LateLibrary library{"libz.so.1", "zlib1g"};
//     LateFunction<decltype(::deflate)> deflate{library, "deflate"};
//   };
#pragma once

#include <utility>

namespace mlctr {

class LateLibrary {
 public:
  /// Throws Error, with the hint to install `package` (Debian's name), where the library is not there. Never unloaded:
  /// such libraries keep state of their own until the process ends.
  LateLibrary(const char* soname, const char* package);

  /// Throws Error where the library has no such function.
  void* function(const char* name) const;

 private:
  const char* soname_;
  void* handle_;
};

template <class Function>
class LateFunction {
 public:
  LateFunction(const LateLibrary& library, const char* name)
      : function_(reinterpret_cast<Function*>(library.function(name))) {}

  template <class... Arguments>
  auto operator()(Arguments... arguments) const {
    return function_(arguments...);
  }

 private:
  Function* function_;
};

}  // namespace mlctr
