// System calls that glibc 2.36 has no function for, in glibc's shape: -1 and errno.
#pragma once

#include <linux/openat2.h>

namespace mlctr::runtime {

/// openat2(2), O_CLOEXEC added; tries again where it says so.
int openat2(int directory, const char* path, open_how how);

/// pivot_root(2).
int pivot_root(const char* new_root, const char* put_old);

}  // namespace mlctr::runtime
