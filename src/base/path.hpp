// Paths as words: nothing but the current directory is looked up.
#pragma once

#include <filesystem>

namespace mlctr {

/// Whether `path` is `directory` or inside it, "." and ".." worked out. False where `directory` is not absolute.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& directory);

/// Whether ".." in it lead above where it begins, at the root or not.
bool leads_out(const std::filesystem::path& path);

/// `path` from the root on, "." and ".." as they are. Throws Error where that can't be told: the current directory was
/// removed.
std::filesystem::path absolute_path(const std::filesystem::path& path);

}  // namespace mlctr
