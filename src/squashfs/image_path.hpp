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

/// The regular file at `path`, which is absolute; absent where there is none, and where the kernel would give up: after
/// 40 symlinks, or 4096 bytes. `names_left` are the names that may still be looked up, here and in calls to come: an
/// image may make each one expensive. Throws Error where the image is broken.
std::optional<FoundFile> find_file(const Reader& image, std::string_view path, unsigned& names_left);

/// Whether the image has anything at `path`, which is absolute and leads through directories alone.
bool has_entry(const Reader& image, std::string_view path);

}  // namespace mlctr::squashfs
