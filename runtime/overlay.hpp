// The kernel's overlay as an ordinary user mounts it. Source: Documentation/filesystems/overlayfs.rst.
#pragma once

#include <string>

#include "base/fd.hpp"

namespace mlctr::runtime {

struct OverlayPaths {
  std::string lower;  ///< a directory, or several, the uppermost first, with ':' between them: 255 bytes at most
  std::string upper{}, work{};  ///< directories on one filesystem; none: nothing can be written
};

/// Attached nowhere yet. Throws SysError.
Fd mount_overlay(const OverlayPaths& paths);

/// The same with nothing of the user's in it: in `scratch`, a directory on a tmpfs, which keeps "probe". Throws
/// SysError where this machine has no overlays for us.
Fd mount_empty_overlay(const Fd& scratch);

}  // namespace mlctr::runtime
