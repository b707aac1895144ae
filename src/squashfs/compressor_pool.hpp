// The threads that compress data blocks, shared by all layers being converted.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mlctr::squashfs {

class CompressorPool {
 public:
  /// `threads` workers; `level` is zstd's.
  CompressorPool(unsigned threads, int level);
  ~CompressorPool();
  CompressorPool(const CompressorPool&) = delete;
  CompressorPool& operator=(const CompressorPool&) = delete;

  unsigned threads() const noexcept;
  // The author of the conversion completes this class.
};

}  // namespace mlctr::squashfs
