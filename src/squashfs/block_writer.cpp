#include "squashfs/block_writer.hpp"

#include <algorithm>
#include <span>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::squashfs {
namespace {

// Enough that no worker waits for the reader of one layer, few enough that six layers at once stay small: one layer's
// inflate feeds about eight compressors, so more than sixteen threads' worth would only lie about.
std::size_t buffers_for(unsigned threads) {
  return 2 * std::min(threads, 16u) + 8;
}

}  // namespace

BlockWriter::BlockWriter(int output, std::uint64_t start, CompressorPool& pool, std::stop_token stop)
    : output_(output), pool_(pool), stop_(std::move(stop)), max_buffers_(buffers_for(pool.threads())) {
  written_.end = start;
  spare_.reserve(max_buffers_);  // the pool's threads give buffers back, and have nobody to tell of a bad_alloc
}

BlockWriter::~BlockWriter() {
  std::unique_lock lock(mutex_);
  // Blocks still queued are passed over from here on; only those being compressed cost time.
  if (failure_ == nullptr) failure_ = std::make_exception_ptr(Cancelled());
  changed_.wait(lock, [this] { return tasks_in_pool_ == 0; });
}

void BlockWriter::wait_for_turn(std::unique_lock<std::mutex>& lock, bool (BlockWriter::*is_turn)() const) {
  changed_.wait(lock, stop_, [&] { return failure_ != nullptr || (this->*is_turn)(); });
  if (stop_.stop_requested()) throw Cancelled();
  if (failure_ != nullptr) std::rethrow_exception(failure_);
}

BlockBuffer BlockWriter::acquire() {
  std::unique_lock lock(mutex_);
  wait_for_turn(lock, &BlockWriter::has_buffer);
  if (spare_.empty()) {
    ++buffers_made_;
    return make_block_buffer(pool_.block_bytes());
  }
  BlockBuffer buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void BlockWriter::release(BlockBuffer buffer) {
  const std::lock_guard lock(mutex_);
  spare_.push_back(std::move(buffer));
}

BlockFileIndex BlockWriter::begin_file() {
  return files_begun_++;
}

void BlockWriter::add_block(BlockBuffer block, std::size_t size) {
  submit({.kind = Slot::Kind::data, .file = files_begun_ - 1, .is_ready = false, .block = std::move(block)}, size);
}

void BlockWriter::add_fragment(BlockBuffer block, std::size_t size) {
  submit({.kind = Slot::Kind::fragment, .is_ready = false, .block = std::move(block)}, size);
}

void BlockWriter::add_holes(std::uint64_t count) {
  enqueue({.kind = Slot::Kind::holes, .file = files_begun_ - 1, .holes = count});
}

void BlockWriter::end_file(std::optional<BlockFileIndex> same_as) {
  enqueue({.kind = Slot::Kind::end_of_file, .file = files_begun_ - 1, .same_as = same_as});
}

// What needs no compression is ready at once, but takes its turn: the order of slots is the order of the file's bytes,
// which must not depend on how many threads there are.
void BlockWriter::enqueue(Slot slot) {
  std::unique_lock lock(mutex_);
  if (failure_ != nullptr) std::rethrow_exception(failure_);
  slots_.push_back(std::move(slot));
  write_ready(lock);
}

void BlockWriter::submit(Slot slot, std::size_t size) {
  Slot* queued = nullptr;
  {
    const std::lock_guard lock(mutex_);
    slots_.push_back(std::move(slot));
    queued = &slots_.back();
    ++tasks_in_pool_;
  }
  try {
    pool_.submit([this, queued, size](BlockCompressor& compressor) { compress(*queued, size, compressor); });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    --tasks_in_pool_;
    failure_ = std::current_exception();
    throw;
  }
}

void BlockWriter::compress(Slot& slot, std::size_t size, BlockCompressor& compressor) {
  std::unique_lock lock(mutex_);
  if (failure_ == nullptr) {
    lock.unlock();
    slot.size_word = compressor.compress(slot.block, size);
    lock.lock();
    slot.is_ready = true;
    write_ready(lock);
  }
  --tasks_in_pool_;
  // Under the lock: once the destructor sees no task left, nothing of this may be touched.
  changed_.notify_all();
}

// Whoever makes the head of the queue ready writes it and what is ready behind it; the others go on compressing.
void BlockWriter::write_ready(std::unique_lock<std::mutex>& lock) {
  if (is_writing_) return;
  is_writing_ = true;
  while (failure_ == nullptr && !slots_.empty() && slots_.front().is_ready) {
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      write(slot);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (slot.block != nullptr) spare_.push_back(std::move(slot.block));
    if (failure_ == nullptr) failure_ = failure;
    changed_.notify_all();
  }
  is_writing_ = false;
}

void BlockWriter::write(Slot& slot) {
  if (slot.kind == Slot::Kind::fragment) {
    const std::uint64_t start = put_block(slot);
    written_.fragments.push_back({.start = start, .size_word = slot.size_word});
    return;
  }
  if (slot.file >= written_.files.size()) written_.files.resize(slot.file + 1);
  WrittenFile& file = written_.files[slot.file];
  switch (slot.kind) {
    case Slot::Kind::data: {
      const std::uint64_t start = put_block(slot);
      if (file.start == 0) file.start = start;
      file.block_words.push_back(slot.size_word);
      break;
    }
    case Slot::Kind::holes:
      file.block_words.insert(file.block_words.end(), slot.holes, 0);
      break;
    case Slot::Kind::end_of_file:
      if (!slot.same_as) break;
      // Its own blocks came last: they are taken back, and what follows overwrites them.
      if (file.start != 0) written_.end = file.start;
      file = written_.files[*slot.same_as];
      break;
    case Slot::Kind::fragment:
      break;
  }
}

std::uint64_t BlockWriter::put_block(const Slot& slot) {
  const std::uint64_t start = written_.end;
  const std::size_t stored_bytes = slot.size_word & (k_raw_block - 1);
  write_all_at(output_, std::span(slot.block.get(), stored_bytes), start, "data blocks");
  written_.end += stored_bytes;
  return start;
}

WrittenBlocks BlockWriter::finish() {
  std::unique_lock lock(mutex_);
  wait_for_turn(lock, &BlockWriter::is_idle);
  return std::move(written_);
}

}  // namespace mlctr::squashfs
