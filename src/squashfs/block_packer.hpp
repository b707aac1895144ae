// Cuts file contents into squashfs blocks, as mksquashfs's defaults do: files under a block (128 KiB in mlctr's images)
// share fragment blocks, bigger ones get blocks of their own with a short last one. Equal contents are stored once,
// blocks of zeros not at all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>

#include "squashfs/block_writer.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// A file's content so far: whole, or its blocks known when the writer has finished.
struct PackedFile {
  FileContent content;  ///< of a file with blocks: size and holes only
  std::optional<BlockFileIndex> blocks{};
};

class BlockPacker {
 public:
  explicit BlockPacker(BlockWriter& writer);
  ~BlockPacker();
  BlockPacker(const BlockPacker&) = delete;
  BlockPacker& operator=(const BlockPacker&) = delete;

  /// Begins a file of `size_bytes`, which the appends until end_file() make up exactly.
  void begin_file(std::uint64_t size_bytes);
  void append(std::span<const std::byte> bytes);
  void append_zeros(std::uint64_t count);
  PackedFile end_file();

  /// Hands the last fragment block to the writer. No file may follow.
  void finish();

 private:
  struct ContentHash;
  struct ContentKey {
    std::uint64_t size, low, high;
    bool operator==(const ContentKey&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const ContentKey& key) const noexcept { return key.low; }
  };
  struct FragmentPlace {
    std::uint32_t fragment, offset;
  };

  bool is_small() const { return size_ < block_bytes_; }
  std::span<std::byte> room();
  void advance(std::size_t bytes);
  void flush_block();
  void add_zero_blocks(std::uint64_t count);
  PackedFile end_small_file();
  PackedFile end_large_file();
  void flush_fragment();

  BlockWriter& writer_;
  const std::uint32_t block_bytes_;
  std::unique_ptr<ContentHash> hash_;

  std::uint64_t size_ = 0;        // of the file begun
  std::uint64_t hole_bytes_ = 0;  // of it, in blocks of zeros
  BlockFileIndex file_ = 0;       // where it has blocks of its own

  // The block being filled: a large file's, or a small one that the open fragment has no room for.
  BlockBuffer block_;
  std::size_t block_filled_ = 0;
  BlockBuffer fragment_;
  std::size_t fragment_filled_ = 0;
  std::uint32_t fragments_flushed_ = 0;
  bool is_in_fragment_ = false;  // a small file goes straight behind fragment_filled_

  std::unordered_map<ContentKey, FragmentPlace, KeyHash> small_files_;
  std::unordered_map<ContentKey, BlockFileIndex, KeyHash> large_files_;
};

}  // namespace mlctr::squashfs
