#include "squashfs/compressor_pool.hpp"

#include <zstd.h>

#include <algorithm>
#include <new>

#include "base/thread.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

static_assert(k_block_buffer_bytes >= ZSTD_COMPRESSBOUND(k_block_bytes));

BlockBuffer make_block_buffer() {
  return std::make_unique_for_overwrite<std::byte[]>(k_block_buffer_bytes);
}

struct BlockCompressor::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
  Context() {
    if (zstd == nullptr) throw std::bad_alloc();
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { ZSTD_freeCCtx(zstd); }
};

BlockCompressor::BlockCompressor(int level)
    : context_(std::make_unique<Context>()), spare_(make_block_buffer()), level_(level) {}
BlockCompressor::BlockCompressor(BlockCompressor&&) noexcept = default;
BlockCompressor::~BlockCompressor() = default;

std::uint32_t BlockCompressor::compress(BlockBuffer& block, std::size_t size) {
  const std::size_t packed =
      ZSTD_compressCCtx(context_->zstd, spare_.get(), k_block_buffer_bytes, block.get(), size, level_);
  // With room for the worst case zstd fails only for want of memory; stored raw, the block is as good.
  if (ZSTD_isError(packed) != 0 || packed >= size) return static_cast<std::uint32_t>(size) | k_raw_block;
  std::swap(block, spare_);
  return static_cast<std::uint32_t>(packed);
}

CompressorPool::CompressorPool(unsigned threads, int level) {
  for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
    try {
      workers_.push_back(start_thread(
          "compress with", [this, compressor = BlockCompressor(level)]() mutable { work(std::move(compressor)); }));
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
