// Mounts that hang nowhere yet, as descriptors (open_tree(2), fsmount(2)): made while the host's paths are still there,
// attached once the rootfs is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::runtime {

/// A copy of the host's mounts from `source` down, with MOUNT_ATTR_* `attributes` added to each and their propagation
/// set (MS_PRIVATE, MS_SLAVE …). Throws SysError; for a source that is not there "source path does not exist".
Fd bind_tree(const std::filesystem::path& source, std::uint64_t attributes, std::uint64_t propagation);

/// The value of an option that takes none.
inline constexpr std::string_view k_flag = "";

using FilesystemOptions = std::vector<std::pair<std::string, std::string>>;

/// A new filesystem of this type. What the kernel says of a wrong option is part of the error.
Fd new_filesystem(const std::string& type, const FilesystemOptions& options, std::uint64_t attributes);

/// Mounts `tree` on `target`, relative to `directory` as in openat(2); for paths of our own only (Rootfs::attach is for
/// the image's).
void attach_tree(const Fd& tree, int directory, const std::string& target);

/// The same attributes for what is mounted at `mount` (the descriptor of its root), and not below it.
void add_attributes(int mount, std::uint64_t attributes);

}  // namespace mlctr::runtime
