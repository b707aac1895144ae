#include "squashfs/blob_feed.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_input_bytes = 256u << 10;

}  // namespace

BlobFeed::BlobFeed(const LayerInput& input, ChunkPipe& pipe, std::stop_token stop, ProgressItem* progress)
    : input_(input),
      pipe_(pipe),
      stop_(std::move(stop)),
      progress_(progress),
      hasher_(input.blob_digest.algorithm()),
      buffer_(k_input_bytes) {}

void BlobFeed::run() {
  std::span<const std::byte> bytes = read_magic();
  inflater_ = Inflater::for_stream(bytes);
  while (!bytes.empty()) {
    if (is_wanted_) inflate_or_note([&] { inflate(bytes); });
    bytes = std::span(buffer_).first(read(buffer_));
  }
  if (is_wanted_) inflate_or_note([&] { finish(); });
}

void BlobFeed::check_blob() {
  const auto actual = Digest::from_hex(input_.blob_digest.algorithm(), hasher_.finish_hex());
  const std::string blob = input_.blob_digest.to_string();
  if (bytes_read_ < input_.blob_bytes) {
    throw BlobError(fmt::format("blob {} ends after {} of {} bytes (these have the digest {})", blob, bytes_read_,
                                input_.blob_bytes, actual.to_string()));
  }
  if (actual != input_.blob_digest) {
    throw BlobError(fmt::format("blob {} is corrupt: its content has the digest {}", blob, actual.to_string()));
  }
}

template <typename Action>
void BlobFeed::inflate_or_note(Action action) {
  try {
    action();
  } catch (const LayerError&) {
    inflate_failure_ = std::current_exception();
    is_wanted_ = false;
    pipe_.abort();
  }
}

// A source may give its first bytes one by one; the kind of compression takes several to tell.
std::span<const std::byte> BlobFeed::read_magic() {
  std::size_t size = 0;
  while (size < Inflater::k_magic_bytes) {
    const std::size_t got = read(std::span(buffer_).subspan(size));
    if (got == 0) break;
    size += got;
  }
  return std::span(buffer_).first(size);
}

std::size_t BlobFeed::read(std::span<std::byte> into) {
  if (stop_.stop_requested()) throw Cancelled();
  const std::size_t got = input_.blob.read(into);
  bytes_read_ += got;
  // At once, not at the end: a source that never ends must not be hashed for ever.
  if (bytes_read_ > input_.blob_bytes) {
    throw BlobError(fmt::format("blob {} is longer than the {} bytes its manifest says", input_.blob_digest.to_string(),
                                input_.blob_bytes));
  }
  hasher_.update(into.first(got));
  if (progress_ != nullptr) progress_->converted_bytes += got;
  return got;
}

void BlobFeed::inflate(std::span<const std::byte> bytes) {
  for (;;) {
    if (room_.empty()) {
      room_ = pipe_.acquire();
      is_wanted_ = !room_.empty();
      if (!is_wanted_) return;
    }
    const Inflater::Step step = inflater_->run(bytes, room_);
    bytes = bytes.subspan(step.consumed);
    room_ = room_.subspan(step.produced);
    if (room_.empty()) {
      // A full chunk may leave more to come out, even when all input is in.
      pipe_.push(pipe_.chunk_bytes());
    } else if (bytes.empty()) {
      return;
    } else if (step.consumed == 0 && step.produced == 0) {
      throw LayerError("it does not inflate any further");
    }
  }
}

void BlobFeed::finish() {
  inflater_->finish();
  if (!room_.empty()) pipe_.push(pipe_.chunk_bytes() - room_.size());
  pipe_.close();
}

}  // namespace mlctr::squashfs
