// Whole file contents out of an image, one after the other and each from its first byte to its last: how a tar wants
// them. Small files share fragment blocks, so the last few of those are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <span>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

/// Takes bytes in order; they are valid during the call. What it throws ends the work and is passed on.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Borrows the reader. For one thread.
class ContentStream {
 public:
  explicit ContentStream(const Reader& reader) : reader_(reader) {}

  /// All of the file's bytes, holes as zeros. Throws Error where the image is broken there.
  void read(const FileContent& file, const ByteSink& take);

 private:
  struct Fragment {
    std::uint32_t number;
    std::size_t size;
    Bytes bytes;
  };

  std::span<const std::byte> fragment(std::uint32_t number);

  const Reader& reader_;
  std::list<Fragment> fragments_;  // the one used last first
  Bytes block_;
};

}  // namespace mlctr::squashfs
