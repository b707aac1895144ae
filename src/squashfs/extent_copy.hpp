// Copies planned extents between files, several at a time.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "base/progress.hpp"
#include "squashfs/extent_plan.hpp"

namespace mlctr::squashfs {

struct ExtentSource {
  int file = -1;
  std::filesystem::path name;
  std::vector<Extent> extents;
  std::uint64_t offset = 0;  ///< of the image in its file, which the extents don't count
};

/// Shares blocks where the filesystem can, copies elsewhere. Heeds `stop` within 64 MiB (throws Cancelled). Counts
/// progress->converted_bytes; `progress` may be null.
void copy_extents(const std::vector<ExtentSource>& sources, int output, std::stop_token stop, ProgressItem* progress);

}  // namespace mlctr::squashfs
