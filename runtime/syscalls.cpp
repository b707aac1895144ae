#include "runtime/syscalls.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mlctr::runtime {

int openat2(int directory, const char* path, open_how how) {
  how.flags |= O_CLOEXEC;
  return static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how));
}

int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

}  // namespace mlctr::runtime
