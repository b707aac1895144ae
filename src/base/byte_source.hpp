// Bytes in order, pulled by whoever needs them.
#pragma once

#include <cstddef>
#include <span>

namespace mlctr {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Blocks until there is at least one byte; 0 only at the end. Throws what broke the source, and Cancelled.
  virtual std::size_t read(std::span<std::byte> into) = 0;
};

}  // namespace mlctr
