// Reads records from metadata blocks, compressed or not, and never beyond the table they belong to.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "squashfs/codec.hpp"
#include "squashfs/format.hpp"
#include "squashfs/image_file.hpp"

namespace mlctr::squashfs {

struct MetadataBlock {
  std::uint64_t position = 0;
  std::uint64_t end = 0;  ///< where the next block begins
  std::size_t size = 0;
  std::array<std::byte, k_metadata_bytes> payload;

  std::span<const std::byte> bytes() const { return std::span(payload).first(size); }
};

/// The blocks read last, each in the one slot its position has. Thread-safe. Memory: slots * 8 KiB.
class MetadataBlocks {
 public:
  MetadataBlocks(const ImageFile& image, const Decompressor& decompressor, std::size_t slots);

  std::shared_ptr<const MetadataBlock> at(std::uint64_t position) const;

 private:
  std::shared_ptr<const MetadataBlock> load(std::uint64_t position) const;

  const ImageFile& image_;
  const Decompressor& decompressor_;
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<const MetadataBlock>> slots_;
};

/// Where a table's blocks lie in the image.
struct TableRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// A place in a table that moves on as it is read. Throws (ImageFile::refuse) where the table ends too early.
class MetadataCursor {
 public:
  MetadataCursor(const ImageFile& image, const MetadataBlocks& blocks, TableRange table, MetadataPosition position);

  template <std::unsigned_integral T>
  T read() {
    if (block_ && block_->size - offset_ >= sizeof(T)) {
      const T value = get<T>(block_->bytes(), offset_);
      offset_ += sizeof(T);
      return value;
    }
    std::array<std::byte, sizeof(T)> bytes;
    read(bytes);
    return get<T>(bytes);
  }
  void read(std::span<std::byte> into);
  /// `size` must be small enough to allocate: the caller has checked it.
  std::string read_text(std::size_t size);
  void skip(std::uint64_t size);

  MetadataPosition position() const;

 private:
  std::span<const std::byte> rest_of_block();

  const ImageFile& image_;
  const MetadataBlocks& blocks_;
  TableRange table_;
  std::uint64_t next_;  // position of the block to read when the current one is used up
  std::size_t offset_;
  std::shared_ptr<const MetadataBlock> block_;
};

/// Records of one size that are looked up by number (make_lookup_table writes them).
class LookupReader {
 public:
  /// An empty table.
  LookupReader(const ImageFile& image, const MetadataBlocks& blocks) : image_(image), blocks_(blocks) {}
  /// Throws where the positions at `positions` don't fit in front of `end`.
  LookupReader(const ImageFile& image, const MetadataBlocks& blocks, std::uint64_t positions, std::uint64_t end,
               std::uint32_t count, std::size_t record_bytes);

  std::uint32_t count() const noexcept { return count_; }
  /// Throws where there is no such record.
  MetadataCursor at(std::uint32_t number) const;

 private:
  const ImageFile& image_;
  const MetadataBlocks& blocks_;
  std::uint64_t positions_ = 0;
  std::uint32_t count_ = 0;
  std::size_t record_bytes_ = 0;
};

}  // namespace mlctr::squashfs
