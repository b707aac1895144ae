// Copies parts of files into an image, several at a time.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "base/progress.hpp"
#include "squashfs/image_file.hpp"

namespace mlctr::squashfs {

struct PlacedPart {
  ImagePart part;
  std::uint64_t to = 0;         ///< in the image
  std::filesystem::path layer;  ///< for messages
};

/// Shares blocks where the filesystem can, copies elsewhere. Heeds `stop` within 64 MiB (throws Cancelled). Counts
/// progress->converted_bytes; `progress` may be null.
void copy_parts(const std::vector<PlacedPart>& parts, int output, std::stop_token stop, ProgressItem* progress);

/// All of `image`, as one file, into an empty one.
void copy_image(const ImageFile& image, int output, std::stop_token stop, ProgressItem* progress);

}  // namespace mlctr::squashfs
