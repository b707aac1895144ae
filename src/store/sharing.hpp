// A store that a group shares: its directories are group-writable (and setgid), so what we make in them must be too,
// whatever the umask says; git's core.sharedRepository does the same.
#pragma once

#include <filesystem>

namespace mlctr {

/// Lets the group read and write an open file or directory of ours, where `parent` lets the group write.
void share_with_group(int fd, const std::filesystem::path& parent);

/// mkdir(2), shared like its parent; an existing directory is fine, a symlink in its place is an Error.
void make_store_directory(const std::filesystem::path& directory);

}  // namespace mlctr
