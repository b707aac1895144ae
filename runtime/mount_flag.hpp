// The options of mount(8) that change the mount itself, by name: for --mount, which takes those that only add, and for
// lines of fstab.
#pragma once

#include <cstdint>
#include <string_view>

namespace mlctr::runtime {

struct MountFlag {
  std::string_view name;
  std::uint64_t set = 0, clear = 0;  ///< MOUNT_ATTR_*
  std::uint64_t propagation = 0;     ///< MS_*; 0: says nothing of it
};

/// Null where `name` is none of them.
const MountFlag* find_mount_flag(std::string_view name);

}  // namespace mlctr::runtime
