// Where the blocks of one file lie, asked for a few at a time.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

/// A data block, as Reader::read_block takes it.
struct StoredBlock {
  std::uint64_t start = 0;
  std::uint32_t word = 0;  ///< as in FileContent::block_words
};

/// A block's place is the sum of all sizes before it, and a hostile list is as long as the image's tables. So a mark
/// is kept every k_blocks_a_mark blocks, as far as anybody has read: 24 bytes each. Thread-safe. Borrows the reader.
class FileBlocks {
 public:
  static constexpr std::uint32_t k_blocks_a_mark = 1024;

  FileBlocks(const Reader& reader, const StoredFile& file);

  const StoredFile& file() const noexcept { return file_; }

  /// [first, first + count) of the file's block_count blocks. Throws where one lies outside of the image.
  std::vector<StoredBlock> locate(std::uint32_t first, std::uint32_t count);

 private:
  struct Mark {
    MetadataPosition words;
    std::uint64_t start;
  };

  const Reader& reader_;
  StoredFile file_;
  std::mutex mutex_;
  std::vector<Mark> marks_;
};

}  // namespace mlctr::squashfs
