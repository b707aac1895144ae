#include "app/blob_spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {

BlobSpool::BlobSpool(std::filesystem::path path, std::uint64_t expected_bytes, ProgressItem& progress)
    : path_(std::move(path)), fd_(open_file(path_, O_RDWR | O_CREAT | O_NOFOLLOW)), progress_(progress) {
  const std::uint64_t left_behind = file_size(fd_.get(), path_.string());
  if (left_behind <= expected_bytes) {
    resumed_bytes_ = left_behind;
  } else if (::ftruncate(fd_.get(), 0) != 0) {
    throw SysError("cannot empty " + path_.string());
  }
  size_ = resumed_bytes_;
  progress_.resumed_bytes = resumed_bytes_;
  progress_.downloaded_bytes = resumed_bytes_;
}

std::uint64_t BlobSpool::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

std::uint64_t BlobSpool::appended_bytes() const {
  const std::lock_guard lock(mutex_);
  return appended_bytes_;
}

void BlobSpool::append(std::span<const std::byte> bytes) {
  // Only this thread moves size_ forward, so the write needs no lock.
  const std::uint64_t at = size();
  write_all_at(fd_.get(), bytes, at, path_.string());
  {
    const std::lock_guard lock(mutex_);
    size_ = at + bytes.size();
    appended_bytes_ += bytes.size();
  }
  progress_.downloaded_bytes = at + bytes.size();
  changed_.notify_all();
}

void BlobSpool::restart() {
  const std::lock_guard lock(mutex_);
  // The file must not keep old bytes behind the new ones: a later pull takes its length for what has arrived.
  if (::ftruncate(fd_.get(), 0) != 0) throw SysError("cannot empty " + path_.string());
  size_ = 0;
  progress_.downloaded_bytes = 0;
  progress_.resumed_bytes = 0;
}

void BlobSpool::finish() {
  const std::lock_guard lock(mutex_);
  is_finished_ = true;
  changed_.notify_all();
}

void BlobSpool::fail(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failure);
  changed_.notify_all();
}

std::size_t BlobSpool::read(std::span<std::byte> into, std::uint64_t offset, std::stop_token stop) {
  std::uint64_t available = 0;
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return size_ > offset || is_finished_ || failure_; })) throw Cancelled();
    if (size_ <= offset) {
      if (failure_) std::rethrow_exception(failure_);
      return 0;
    }
    available = size_ - offset;
  }
  const std::span<std::byte> part = into.first(std::min<std::uint64_t>(into.size(), available));
  const std::size_t got = read_at(fd_.get(), part, offset, path_.string());
  // A restart() may have cut the file under us: then come back for the bytes once they are there again.
  return got > 0 ? got : read(into, offset, stop);
}

bool BlobSpool::has_failed() const {
  const std::lock_guard lock(mutex_);
  return failure_ != nullptr;
}

void BlobSpool::remove() {
  ::unlink(path_.c_str());
}

}  // namespace mlctr
