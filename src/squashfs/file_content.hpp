// Small files out of an image, without mounting it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

/// The content of the regular file at `path` ("/.mlctr/config.json"; symlinks are not followed). Absent where there is
/// none. Throws Error where it is larger than `max_bytes`, or the image is broken there.
std::optional<std::string> read_small_file(const Reader& image, std::string_view path, std::uint64_t max_bytes);

/// How many bytes it has. Absent where there is no regular file.
std::optional<std::uint64_t> size_of_file(const Reader& image, std::string_view path);

/// Whether there is anything but a symlink at `path`, no symlink on the way.
bool has_file(const Reader& image, std::string_view path);

/// Whether nothing is at `path` and only directories are on the way, as far as there is one: it can be added.
bool is_free(const Reader& image, std::string_view path);

}  // namespace mlctr::squashfs
