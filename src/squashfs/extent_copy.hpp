// Copies parts of files into an image, several at a time.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "base/progress.hpp"
#include "squashfs/content_stream.hpp"
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

/// The same bytes in order, a MiB at a time. Throws Cancelled, and what `sink` throws.
void stream_image(const ImageFile& image, const ByteSink& sink, const std::stop_token& stop);

}  // namespace mlctr::squashfs
