// Paths inside an image, followed as the kernel would with the image's root as its root.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

struct FoundFile {
  MetadataPosition inode;
  std::string path;  ///< without symlinks and dots: "/usr/lib/x86_64-linux-gnu/libc.so.6"
};

/// The regular file at `path`, which is absolute; absent where there is none, or after 40 symlinks. Throws Error where
/// the image is broken.
std::optional<FoundFile> find_file(const Reader& image, std::string_view path);

}  // namespace mlctr::squashfs
