// The threads that compress data blocks, shared by all layers being converted.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "squashfs/block_format.hpp"
#include "squashfs/codec.hpp"

namespace mlctr::squashfs {

/// Room for one block, compressed or not: block_buffer_bytes() long, so that a compressor can trade it for its own.
using BlockBuffer = std::unique_ptr<std::byte[]>;
/// A block plus what zstd may add to it (ZSTD_COMPRESSBOUND, checked in the source).
constexpr std::size_t block_buffer_bytes(std::size_t block_bytes) {
  return block_bytes + block_bytes / 256 + 64;
}
BlockBuffer make_block_buffer(std::size_t block_bytes);

/// One thread's compressor and spare buffer, kept from block to block.
class BlockCompressor {
 public:
  BlockCompressor(const BlockFormat& format, int level);

  /// Compresses the first `size` bytes of `block` and leaves the result in `block`, or the bytes as they are where they
  /// get no smaller. Returns squashfs's size word (| k_raw_block). The same bytes give the same result.
  std::uint32_t compress(BlockBuffer& block, std::size_t size);

 private:
  Compressor compressor_;
  std::size_t buffer_bytes_;
  BlockBuffer spare_;
};

class CompressorPool {
 public:
  /// Runs on one of the pool's threads with that thread's compressor; must not throw.
  using Task = std::function<void(BlockCompressor&)>;

  /// `threads` workers (at least one) for blocks of one format; `level` is zstd's.
  CompressorPool(unsigned threads, int level, const BlockFormat& format = {});
  /// Ends the threads; tasks not yet begun are dropped, so whoever submits waits for its own first.
  ~CompressorPool();
  CompressorPool(const CompressorPool&) = delete;
  CompressorPool& operator=(const CompressorPool&) = delete;

  unsigned threads() const noexcept { return static_cast<unsigned>(workers_.size()); }
  std::uint32_t block_bytes() const noexcept { return block_bytes_; }

  /// Queues a task, first come first served. The queue is bounded by its users: each layer has few blocks in flight.
  void submit(Task task);

 private:
  void work(BlockCompressor compressor);

  const std::uint32_t block_bytes_;
  std::mutex mutex_;
  std::condition_variable has_work_;
  std::deque<Task> tasks_;
  bool is_closing_ = false;
  std::vector<std::jthread> workers_;
};

}  // namespace mlctr::squashfs
