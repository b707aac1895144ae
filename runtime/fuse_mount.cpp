#include "runtime/fuse_mount.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <cerrno>

#include "runtime/mount_tree.hpp"
#include "runtime/obstacle.hpp"

namespace mlctr::runtime {
namespace {

// No module or device (ENOENT, ENODEV, ENXIO), not for this user (EACCES, EPERM), or what is there is no FUSE (EINVAL).
bool means_no_fuse(int errno_value) {
  return errno_value == ENOENT || errno_value == ENODEV || errno_value == ENXIO || errno_value == EACCES ||
         errno_value == EPERM || errno_value == EINVAL;
}

Fd open_device() {
  Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (device) return device;
  SysError error("cannot open /dev/fuse");
  error.add_hint(why_no_fuse_device(error.errno_value()).hint());
  throw error;
}

}  // namespace

FuseMount new_fuse_mount(const Identity& identity, FuseAccess access) try {
  Fd device = open_device();
  const std::uint64_t read_only = access == FuseAccess::read_only ? MOUNT_ATTR_RDONLY : 0;
  Fd mount = new_filesystem("fuse",
                            {{"source", "mlctr"},
                             {"fd", fmt::format("{}", device.get())},
                             {"rootmode", "40755"},
                             {"user_id", fmt::format("{}", identity.uid)},
                             {"group_id", fmt::format("{}", identity.gid)},
                             {"default_permissions", std::string(k_flag)},
                             {"allow_other", std::string(k_flag)}},
                            read_only | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  return {std::move(mount), std::move(device)};
} catch (SysError& error) {
  if (!means_no_fuse(error.errno_value())) throw;
  error.add_hint(why_no_fuse_mount(error.errno_value()).hint());
  throw NoFuse(error);
}

Fd clone_fuse_device(const Fd& device) {
  Fd clone(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  auto source = static_cast<std::uint32_t>(device.get());
  if (!clone || ::ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &source) != 0) return Fd();
  return clone;
}

}  // namespace mlctr::runtime
