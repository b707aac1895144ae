// Small files out of an image, without mounting it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// The content of the regular file at `path` ("/.mlctr/config.json"; symlinks are not followed) in the image `file`,
/// whose tree is `tree`. Absent where there is none. Throws Error where it is larger than `max_bytes` or its blocks are
/// broken.
std::optional<std::string> read_small_file(int file, const std::filesystem::path& name, const Tree& tree,
                                           std::string_view path, std::uint64_t max_bytes);

}  // namespace mlctr::squashfs
