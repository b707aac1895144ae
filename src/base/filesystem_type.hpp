// Which filesystem a path lies on, by the kernel's name for it ("ext4", "nfs4", "lustre", "fuse.sshfs"): mountinfo's,
// as statfs(2)'s magic numbers leave ext2 to ext4 and everything behind FUSE alike.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mlctr {

/// Empty where it can't be told.
std::string filesystem_type(const std::filesystem::path& path);

/// From the text of /proc/self/mountinfo (proc(5)), by a mount's id.
std::string filesystem_type_of_mount(std::string_view mountinfo, std::uint64_t mount_id);

}  // namespace mlctr
