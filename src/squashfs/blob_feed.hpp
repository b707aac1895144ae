// The first half of a conversion: blob -> SHA-256 and size -> inflated bytes in a pipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "base/hash.hpp"
#include "base/progress.hpp"
#include "squashfs/chunk_pipe.hpp"
#include "squashfs/convert_layer.hpp"
#include "squashfs/inflate.hpp"

namespace mlctr::squashfs {

class BlobFeed {
 public:
  /// All outlive this; `progress` may be null.
  BlobFeed(const LayerInput& input, ChunkPipe& pipe, std::stop_token stop, ProgressItem* progress);

  /// Reads the blob to its end, even where the content proves to be no layer: a wrong blob is to be called that. Leaves
  /// the pipe closed, or aborted. Throws what the source throws, BlobError where the blob is too long, Cancelled.
  void run();

  /// After run(): throws BlobError with both digests where the blob is not what its descriptor says.
  void check_blob();

  /// After run(): what was wrong with the compressed stream; null where nothing was.
  std::exception_ptr inflate_failure() const { return inflate_failure_; }

 private:
  template <typename Action>
  void inflate_or_note(Action action);
  std::span<const std::byte> read_magic();
  std::size_t read(std::span<std::byte> into);
  void inflate(std::span<const std::byte> bytes);
  void finish();

  const LayerInput& input_;
  ChunkPipe& pipe_;
  const std::stop_token stop_;
  ProgressItem* const progress_;
  Hasher hasher_;
  std::uint64_t bytes_read_ = 0;
  std::vector<std::byte> buffer_;
  std::unique_ptr<Inflater> inflater_;
  std::span<std::byte> room_;  // what is left of the chunk being filled
  bool is_wanted_ = true;      // by the reader, and the stream is good so far
  std::exception_ptr inflate_failure_;
};

}  // namespace mlctr::squashfs
