// What an overlay writes to.
#pragma once

#include <filesystem>

namespace mlctr {

/// Makes "upper" and "work" in `directory`. Throws SysError.
void make_overlay_directories(const std::filesystem::path& directory);

}  // namespace mlctr
