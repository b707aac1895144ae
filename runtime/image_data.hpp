// The content of an image's files, through a cache of uncompressed blocks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "runtime/block_cache.hpp"
#include "squashfs/file_blocks.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// Bytes of a file; `block` keeps them alive (none: a hole's zeros).
struct DataPiece {
  BlockCache::Block block;
  std::span<const std::byte> bytes;
};

/// Thread-safe. Borrows the reader.
class ImageData {
 public:
  /// At most `read_ahead_threads` of the callers of read_ahead() work at a time; the others return at once.
  ImageData(const squashfs::Reader& image, std::size_t cached_bytes, unsigned read_ahead_threads);

  /// [offset, offset + size_bytes) of the regular file whose inode lies at `inode`, or up to its end.
  std::vector<DataPiece> read(squashfs::MetadataPosition inode, std::uint64_t offset, std::size_t size_bytes);

  /// For a thread that has just answered a read of [offset, end): where the file is being read in order, uncompresses
  /// what the next reads will ask for. The kernel keeps only one or two reads of 128 KiB under way, which would leave
  /// all but one core idle. Never throws: who asks for a broken block will hear of it.
  void read_ahead(squashfs::MetadataPosition inode, std::uint64_t offset, std::uint64_t end) noexcept;

  /// Likewise for a program or library, which is mapped and then read here and there: uncompresses all of it, or its
  /// first 4 MiB, while its reader waits for one place after the other.
  void read_program_ahead(squashfs::MetadataPosition inode) noexcept;

 private:
  using Blocks = std::shared_ptr<squashfs::FileBlocks>;

  std::uint64_t blocks_up_to(std::uint64_t end) const { return (end + block_bytes_ - 1) / block_bytes_; }
  Blocks blocks_of(squashfs::MetadataPosition inode);
  DataPiece data_piece(const squashfs::StoredFile& file, const squashfs::StoredBlock& block, std::uint64_t number);
  DataPiece tail_piece(const squashfs::StoredFile& file);
  BlockKey key_of(const squashfs::StoredFile& file, const squashfs::StoredBlock& block, std::uint64_t number) const;
  template <class Load>
  void with_blocks_ahead(squashfs::MetadataPosition inode, const Load& load) noexcept;
  void load_next(squashfs::FileBlocks& blocks, std::uint64_t offset, std::uint64_t end);
  /// [first, behind) of `file`, where it goes so far: `blocks` of its own, then its tail.
  void load(const squashfs::StoredFile& file, std::span<const squashfs::StoredBlock> blocks, std::uint64_t first,
            std::uint64_t behind);

  const squashfs::Reader& image_;
  std::uint32_t block_bytes_;
  BlockCache cache_;
  unsigned read_ahead_threads_;
  std::atomic<unsigned> reading_ahead_ = 0;
  std::mutex long_files_mutex_;
  std::list<std::pair<std::uint64_t, Blocks>> long_files_;  // by inode reference; front: used last
};

}  // namespace mlctr::runtime
