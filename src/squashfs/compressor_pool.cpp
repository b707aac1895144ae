#include "squashfs/compressor_pool.hpp"

#include <zstd.h>

#include <algorithm>

#include "base/thread.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

static_assert(block_buffer_bytes(4u << 10) >= ZSTD_COMPRESSBOUND(4u << 10));
static_assert(block_buffer_bytes(k_block_bytes) >= ZSTD_COMPRESSBOUND(k_block_bytes));
static_assert(block_buffer_bytes(1u << 20) >= ZSTD_COMPRESSBOUND(1u << 20));

BlockBuffer make_block_buffer(std::size_t block_bytes) {
  return std::make_unique_for_overwrite<std::byte[]>(block_buffer_bytes(block_bytes));
}

BlockCompressor::BlockCompressor(const BlockFormat& format, int level)
    : compressor_(format.compressor, format.block_bytes, level),
      buffer_bytes_(block_buffer_bytes(format.block_bytes)),
      spare_(make_block_buffer(format.block_bytes)) {}

std::uint32_t BlockCompressor::compress(BlockBuffer& block, std::size_t size) {
  const std::size_t packed = compressor_.compress({block.get(), size}, {spare_.get(), buffer_bytes_});
  if (packed == 0) return static_cast<std::uint32_t>(size) | k_raw_block;
  std::swap(block, spare_);
  return static_cast<std::uint32_t>(packed);
}

CompressorPool::CompressorPool(unsigned threads, int level, const BlockFormat& format)
    : block_bytes_(format.block_bytes) {
  for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
    try {
      workers_.push_back(start_thread("compress with", [this, compressor = BlockCompressor(format, level)]() mutable {
        work(std::move(compressor));
      }));
    } catch (const std::exception&) {
      // Login nodes limit processes and memory: fewer threads only take longer.
      if (workers_.empty()) throw;
      return;
    }
  }
}

CompressorPool::~CompressorPool() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  has_work_.notify_all();
}

void CompressorPool::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  has_work_.notify_one();
}

void CompressorPool::work(BlockCompressor compressor) {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      has_work_.wait(lock, [this] { return is_closing_ || !tasks_.empty(); });
      if (is_closing_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task(compressor);
  }
}

}  // namespace mlctr::squashfs
