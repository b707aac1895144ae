// The program fuse-overlayfs in the place of the kernel's overlay, for kernels that have none for users.
// Source: fuse-overlayfs(1); libfuse3's mount.c for "/dev/fd/N".
#pragma once

#include <filesystem>
#include <string>

#include "base/fd.hpp"
#include "runtime/identity.hpp"

namespace mlctr::runtime {

struct FuseOverlay {
  std::filesystem::path scratch;  ///< a directory with "image", the lower one
  std::string upper, work;        ///< absolute, or relative to `scratch`; without ',' and ':'
};

/// A new mount, attached nowhere yet, that the program serves until it ends. The program runs in a mount namespace of
/// its own: in the container's, it would keep alive what it waits for the end of. Call it before the mount's target is
/// reachable, in a single-threaded process with the rights to mount. Throws Error where it is not installed or fails.
Fd mount_fuse_overlay(const FuseOverlay& overlay, const Identity& identity);

bool is_fuse_overlayfs_installed();

}  // namespace mlctr::runtime
