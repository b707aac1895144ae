// A squashfs image that is open: a file of its own, or the system partition of a SIF file.
#pragma once

#include <filesystem>
#include <memory>

#include "base/fd.hpp"
#include "squashfs/reader.hpp"

namespace mlctr {

/// Throws Error where `path` is neither. The reader stays where it is when the image is moved.
struct OpenImage {
  Fd file;
  std::unique_ptr<squashfs::Reader> reader;

  explicit OpenImage(const std::filesystem::path& path);
  /// `path` is for messages.
  OpenImage(Fd open, const std::filesystem::path& path);
};

}  // namespace mlctr
