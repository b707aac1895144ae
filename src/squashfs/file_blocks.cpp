#include "squashfs/file_blocks.hpp"

#include <algorithm>

namespace mlctr::squashfs {

FileBlocks::FileBlocks(const Reader& reader, const StoredFile& file)
    : reader_(reader), file_(file), marks_{{file.block_words, file.start}} {}

std::vector<StoredBlock> FileBlocks::locate(std::uint32_t first, std::uint32_t count) {
  std::vector<StoredBlock> found;
  if (count == 0) return found;
  found.reserve(count);
  const std::uint64_t image_bytes = reader_.superblock().bytes_used;
  const std::lock_guard lock(mutex_);
  const std::size_t nearest = std::min<std::size_t>(first / k_blocks_a_mark, marks_.size() - 1);
  MetadataCursor words = reader_.inode_table(marks_[nearest].words);
  std::uint64_t start = marks_[nearest].start;
  for (std::uint64_t number = nearest * k_blocks_a_mark; found.size() < count; ++number) {
    if (number == marks_.size() * k_blocks_a_mark) marks_.push_back({words.position(), start});
    const std::uint32_t word = reader_.read_block_word(words);
    const std::uint32_t size = word & k_stored_size_mask;
    if (size > image_bytes || (size > 0 && start > image_bytes - size)) {
      reader_.image().refuse("a file's blocks lie outside of it");
    }
    if (number >= first) found.push_back({start, word});
    start += size;
  }
  return found;
}

}  // namespace mlctr::squashfs
