// Squashfs blocks, compressed and back, whatever compressor the image has: zstd here, the others through libsquashfs.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "squashfs/format.hpp"

namespace mlctr::squashfs {

/// One zstd frame, small rather than fast to make: for metadata and what little is added to an image.
Bytes compress_zstd(std::span<const std::byte> payload);

/// One thread's compressor of data blocks.
class Compressor {
 public:
  /// `level` is zstd's; the others have one of their own. Throws Error as Decompressor does.
  Compressor(CompressorId id, std::size_t block_bytes, int level);
  Compressor(Compressor&&) noexcept;
  ~Compressor();

  /// How many bytes `block` became in `into`; 0 where it gets no smaller, or there is no compressor to call (lzo, lzma:
  /// every reader takes blocks that are stored as they are). The same bytes give the same result.
  std::size_t compress(std::span<const std::byte> block, std::span<std::byte> into);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Thread-safe: each call borrows a context of its own, made when all others are in use.
class Decompressor {
 public:
  /// Throws Error for a compressor that squashfs does not know or libsquashfs was built without.
  Decompressor(CompressorId id, std::size_t block_bytes);
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  /// How many bytes `stored` became; throws Error where it is broken or needs more room than `into` has.
  std::size_t decompress(std::span<const std::byte> stored, std::span<std::byte> into) const;

 private:
  struct Context;
  std::unique_ptr<Context> borrow() const;

  CompressorId id_;
  std::size_t block_bytes_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Context>> idle_;
};

}  // namespace mlctr::squashfs
