// The kernel's overlay as an ordinary user mounts it. Source: Documentation/filesystems/overlayfs.rst.
#pragma once

#include <string>

#include "base/fd.hpp"

namespace mlctr::runtime {

struct OverlayPaths {
  std::string lower, upper, work;  ///< directories; upper and work on one filesystem
};

/// Attached nowhere yet. Throws SysError.
Fd mount_overlay(const OverlayPaths& paths);

/// The same with nothing of the user's in it: in `scratch`, a directory on a tmpfs, which keeps "probe". Throws
/// SysError where this machine has no overlays for us.
Fd mount_empty_overlay(const Fd& scratch);

}  // namespace mlctr::runtime
