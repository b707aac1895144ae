#include "runtime/syscalls.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace mlctr::runtime {
namespace {

constexpr int k_most_tries = 10'000;  // who renames without end would have to be faster than all of them

}  // namespace

int openat2(int directory, const char* path, open_how how) {
  how.flags |= O_CLOEXEC;
  // Where a ".." was on the way, a rename or a mount anywhere on the machine makes the kernel give up.
  long fd = -1;
  for (int tries = 0; tries < k_most_tries && fd < 0; ++tries) {
    fd = ::syscall(SYS_openat2, directory, path, &how, sizeof how);
    if (fd < 0 && errno != EAGAIN) break;
  }
  return static_cast<int>(fd);
}

int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

}  // namespace mlctr::runtime
