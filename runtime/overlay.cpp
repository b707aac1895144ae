#include "runtime/overlay.hpp"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "runtime/mount_tree.hpp"

namespace mlctr::runtime {

Fd mount_overlay(const OverlayPaths& paths) {
  // userxattr: marks in user.overlay.*, as trusted.* is not for user namespaces (overlayfs.rst).
  FilesystemOptions options{{"source", "mlctr"}, {"lowerdir", paths.lower}, {"userxattr", std::string(k_flag)}};
  if (!paths.upper.empty()) {
    options.emplace_back("upperdir", paths.upper);
    options.emplace_back("workdir", paths.work);
  }
  return new_filesystem("overlay", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

Fd mount_empty_overlay(const Fd& scratch) {
  for (const char* name : {"probe", "probe/lower", "probe/upper", "probe/work"}) {
    if (::mkdirat(scratch.get(), name, 0755) != 0) throw SysError(fmt::format("cannot make the directory {}", name));
  }
  const std::string probe = fmt::format("/proc/self/fd/{}/probe", scratch.get());
  return mount_overlay({probe + "/lower", probe + "/upper", probe + "/work"});
}

}  // namespace mlctr::runtime
