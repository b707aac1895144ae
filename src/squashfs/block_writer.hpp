// One layer's data blocks: compressed by the pool in any order, written in the order they were added, so that the same
// layer gives the same bytes whatever the threads do.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "squashfs/compressor_pool.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// A file of its own blocks, by the order of begin_file().
using BlockFileIndex = std::uint32_t;

/// Where one such file's blocks came to lie.
struct WrittenFile {
  std::uint64_t start = 0;  ///< 0 where every block is a hole
  std::vector<std::uint32_t> block_words;
};

struct WrittenBlocks {
  std::vector<WrittenFile> files;
  std::vector<FragmentBlock> fragments;
  std::uint64_t end = 0;  ///< offset after the last block
};

/// Used by one thread; blocks wait in bounded number, and acquire() waits for one to be written.
class BlockWriter {
 public:
  /// Writes to `output` from offset `start` on. `pool` outlives this.
  BlockWriter(int output, std::uint64_t start, CompressorPool& pool, std::stop_token stop);
  /// Waits for the pool to be done with this layer's blocks.
  ~BlockWriter();
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  /// A buffer to fill with up to block_bytes(). Throws Cancelled, or what made writing fail.
  BlockBuffer acquire();
  /// Gives a buffer back unused.
  void release(BlockBuffer buffer);

  std::uint32_t block_bytes() const noexcept { return pool_.block_bytes(); }

  BlockFileIndex begin_file();
  /// Adds to the file begun last.
  void add_block(BlockBuffer block, std::size_t size);
  void add_holes(std::uint64_t count);
  /// Ends that file. Where its content equals that of an earlier file, the earlier one's blocks stand for both, and
  /// what comes next overwrites its own.
  void end_file(std::optional<BlockFileIndex> same_as);

  /// Adds a fragment block; its index counts from 0.
  void add_fragment(BlockBuffer block, std::size_t size);

  /// Waits until everything is written. Throws as acquire() does. Call once.
  WrittenBlocks finish();

 private:
  // What waits for its turn: blocks, but also what happens between them.
  struct Slot {
    enum class Kind { data, fragment, holes, end_of_file };
    Kind kind;
    BlockFileIndex file = 0;
    bool is_ready = true;
    BlockBuffer block{};
    std::uint32_t size_word = 0;
    std::uint64_t holes = 0;
    std::optional<BlockFileIndex> same_as{};
  };

  void enqueue(Slot slot);
  void submit(Slot slot, std::size_t size);
  void compress(Slot& slot, std::size_t size, BlockCompressor& compressor);
  void write_ready(std::unique_lock<std::mutex>& lock);
  void write(Slot& slot);
  std::uint64_t put_block(const Slot& slot);
  void wait_for_turn(std::unique_lock<std::mutex>& lock, bool (BlockWriter::*is_turn)() const);
  bool has_buffer() const { return !spare_.empty() || buffers_made_ < max_buffers_; }
  bool is_idle() const { return slots_.empty() && !is_writing_; }

  const int output_;
  CompressorPool& pool_;
  const std::stop_token stop_;
  const std::size_t max_buffers_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Slot> slots_;  // references stay valid: only its ends change
  std::size_t tasks_in_pool_ = 0;
  bool is_writing_ = false;
  std::exception_ptr failure_;
  std::vector<BlockBuffer> spare_;
  std::size_t buffers_made_ = 0;
  BlockFileIndex files_begun_ = 0;

  WrittenBlocks written_;  // of whoever holds is_writing_
};

}  // namespace mlctr::squashfs
