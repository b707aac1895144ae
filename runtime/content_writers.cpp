#include "runtime/content_writers.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/thread.hpp"
#include "squashfs/file_blocks.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;

constexpr std::size_t k_most_waiting = 128;
constexpr std::size_t k_cached_tail_bytes = 32u << 20;
constexpr std::uint32_t k_blocks_at_once = 256;

}  // namespace

ContentWriters::ContentWriters(const Reader& image, unsigned threads)
    : image_(image), data_(image, k_cached_tail_bytes, /*read_ahead_threads=*/0) {
  const SignalsBlocked blocked;
  for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
    threads_.push_back(start_thread("unpack an image", [this] { work(); }));
  }
}

ContentWriters::~ContentWriters() {
  const std::lock_guard lock(mutex_);
  is_ending_ = true;
  waiting_.clear();
  changed_.notify_all();
}

void ContentWriters::add(NewFile file) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.size() < k_most_waiting || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  waiting_.push_back(std::move(file));
  changed_.notify_all();
}

void ContentWriters::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return (waiting_.empty() && at_work_ == 0) || failure_; });
  if (failure_) std::rethrow_exception(failure_);
}

void ContentWriters::work() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_ending_ || !waiting_.empty(); });
    if (is_ending_) return;
    const NewFile file = std::move(waiting_.front());
    waiting_.pop_front();
    ++at_work_;
    changed_.notify_all();
    lock.unlock();
    std::exception_ptr failure;
    try {
      write(file);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --at_work_;
    if (failure && !failure_) failure_ = failure;
    changed_.notify_all();
  }
}

void ContentWriters::write(const NewFile& file) {
  // First the whole length: what is never written stays a hole.
  if (::ftruncate(file.fd.get(), static_cast<off_t>(file.content.size_bytes)) != 0) {
    throw SysError(fmt::format("cannot make {} of {} bytes", file.path, file.content.size_bytes));
  }
  write_blocks(file);
  if (file.content.fragment != k_no_fragment) write_tail(file);
  const std::array times{file.mtime, file.mtime};
  if (::fchmod(file.fd.get(), file.mode) != 0 || ::futimens(file.fd.get(), times.data()) != 0) {
    throw SysError(fmt::format("cannot set mode and time of {}", file.path));
  }
}

void ContentWriters::write_blocks(const NewFile& file) {
  const std::uint64_t block_bytes = image_.superblock().block_bytes;
  Bytes room(std::min(block_bytes, file.content.size_bytes));
  FileBlocks blocks(image_, file.content);
  const std::uint32_t count = file.content.block_count;
  for (std::uint32_t first = 0; first < count; first += std::min(k_blocks_at_once, count - first)) {
    std::uint64_t at = first * block_bytes;
    for (const StoredBlock& block : blocks.locate(first, std::min(k_blocks_at_once, count - first))) {
      const auto bytes = std::span(room).first(std::min(block_bytes, file.content.size_bytes - at));
      if ((block.word & k_stored_size_mask) != 0) {
        image_.read_block(block.start, block.word, bytes);
        write_all_at(file.fd.get(), bytes, at, file.path);
      }
      at += bytes.size();
    }
  }
}

void ContentWriters::write_tail(const NewFile& file) {
  const std::uint64_t block_bytes = image_.superblock().block_bytes;
  std::uint64_t at = file.content.size_bytes / block_bytes * block_bytes;
  for (const DataPiece& piece : data_.read(file.inode, at, file.content.size_bytes - at)) {
    write_all_at(file.fd.get(), piece.bytes, at, file.path);
    at += piece.bytes.size();
  }
}

}  // namespace mlctr::runtime
