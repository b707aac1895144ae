// Which bytes of a layer file an image needs, and where in the image they go: few large copies instead of one a file.
#pragma once

#include <cstdint>
#include <vector>

namespace mlctr::squashfs {

/// [from, from + size) of a layer file goes to `to` of the image. All are multiples of a page, so that filesystems
/// which share extents between files can share these.
struct Extent {
  std::uint64_t from = 0;
  std::uint64_t size = 0;
  std::uint64_t to = 0;
};

class ExtentPlan {
 public:
  /// The bytes [start, start + size) are needed; an empty range needs nothing.
  void need(std::uint64_t start, std::uint64_t size);

  /// Places everything needed from `at` on, in the layer's order, and returns where the next may go. Call once.
  /// Unneeded bytes between two needed ranges are copied along where they are fewer than a copy of their own would
  /// cost.
  std::uint64_t place(std::uint64_t at);

  const std::vector<Extent>& extents() const noexcept { return extents_; }
  /// Where the byte at `start`, which was needed, lies in the image.
  std::uint64_t moved(std::uint64_t start) const;

 private:
  std::vector<Extent> extents_;  // before place(): as needed, `to` unused
};

}  // namespace mlctr::squashfs
