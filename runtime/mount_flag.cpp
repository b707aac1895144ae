#include "runtime/mount_flag.hpp"

#include <sys/mount.h>

#include <algorithm>
#include <array>

namespace mlctr::runtime {
namespace {

// Access times are left alone: the kernel keeps them as they were in a user namespace (mount_namespaces(7)). So is
// sharing, as such a namespace can only receive.
constexpr std::array<MountFlag, 14> k_flags{{{"ro", MOUNT_ATTR_RDONLY},
                                             {"rw", 0, MOUNT_ATTR_RDONLY},
                                             {"nosuid", MOUNT_ATTR_NOSUID},
                                             {"suid", 0, MOUNT_ATTR_NOSUID},
                                             {"nodev", MOUNT_ATTR_NODEV},
                                             {"dev", 0, MOUNT_ATTR_NODEV},
                                             {"noexec", MOUNT_ATTR_NOEXEC},
                                             {"exec", 0, MOUNT_ATTR_NOEXEC},
                                             {"private", 0, 0, MS_PRIVATE},
                                             {"rprivate", 0, 0, MS_PRIVATE},
                                             {"slave", 0, 0, MS_SLAVE},
                                             {"rslave", 0, 0, MS_SLAVE},
                                             {"shared", 0, 0, MS_SLAVE},
                                             {"rshared", 0, 0, MS_SLAVE}}};

}  // namespace

const MountFlag* find_mount_flag(std::string_view name) {
  const auto found = std::ranges::find(k_flags, name, &MountFlag::name);
  return found == k_flags.end() ? nullptr : &*found;
}

}  // namespace mlctr::runtime
