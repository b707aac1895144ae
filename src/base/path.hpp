// Paths as words: nothing is looked up.
#pragma once

#include <filesystem>

namespace mlctr {

/// Whether `path` is `directory` or inside it, "." and ".." worked out. False where `directory` is not absolute.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& directory);

}  // namespace mlctr
