// A FUSE filesystem mounted, and the descriptor its server answers on.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "runtime/identity.hpp"

namespace mlctr::runtime {

enum class FuseAccess { read_only, read_write };

struct FuseMount {
  Fd mount;   ///< attached nowhere yet
  Fd device;  ///< of /dev/fuse
};

/// FUSE can't be used here: not by this user, in this namespace, on this kernel.
class NoFuse : public SysError {
 public:
  explicit NoFuse(const SysError& cause) : SysError(cause) {}
};

/// From inside the user namespace that the files' owner, `identity`, is of. Throws NoFuse, or SysError where it is a
/// matter of limits.
FuseMount new_fuse_mount(const Identity& identity, FuseAccess access);

/// Another descriptor of the mount's, with requests of its own: those it read and did not answer fail when it closes.
/// Empty where the kernel has it not (before Linux 5.15 not across user namespaces). Source: fuse_dev_release() and
/// fuse_dev_ioctl_clone(), fs/fuse/dev.c.
Fd clone_fuse_device(const Fd& device);

}  // namespace mlctr::runtime
