#include "squashfs/chunk_pipe.hpp"

#include "base/error.hpp"

namespace mlctr::squashfs {

ChunkPipe::ChunkPipe(std::size_t chunks, std::size_t chunk_bytes, std::stop_token stop)
    : chunk_bytes_(chunk_bytes), stop_(std::move(stop)), chunks_(chunks) {}

std::span<std::byte> ChunkPipe::acquire() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop_, [this] { return state_ != State::open || written_ - released_ < chunks_.size(); });
  if (stop_.stop_requested() || state_ == State::given_up) throw Cancelled();
  if (state_ == State::left) return {};
  Chunk& chunk = chunks_[written_ % chunks_.size()];
  // Made at first use: a small layer takes one chunk's memory, not all.
  if (chunk.bytes == nullptr) chunk.bytes = std::make_unique_for_overwrite<std::byte[]>(chunk_bytes_);
  return {chunk.bytes.get(), chunk_bytes_};
}

void ChunkPipe::push(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    chunks_[written_ % chunks_.size()].filled = bytes;
    ++written_;
  }
  changed_.notify_all();
}

void ChunkPipe::close() {
  set_state(State::closed);
}
void ChunkPipe::abort() {
  set_state(State::aborted);
}
void ChunkPipe::leave(Rest rest) {
  set_state(rest == Rest::read_on ? State::left : State::given_up);
}

void ChunkPipe::set_state(State state) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::open) state_ = state;
  }
  changed_.notify_all();
}

std::span<const std::byte> ChunkPipe::next() {
  std::unique_lock lock(mutex_);
  released_ = read_;
  changed_.notify_all();
  changed_.wait(lock, stop_, [this] { return state_ != State::open || written_ > read_; });
  if (stop_.stop_requested() || state_ == State::aborted) throw Cancelled();
  if (written_ == read_) return {};
  const Chunk& chunk = chunks_[read_ % chunks_.size()];
  ++read_;
  return {chunk.bytes.get(), chunk.filled};
}

}  // namespace mlctr::squashfs
