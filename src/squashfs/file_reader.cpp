#include <algorithm>

#include "base/error.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

std::size_t Reader::decompress(std::uint64_t start, std::size_t stored_bytes, std::span<std::byte> into) const {
  // Kept for the thread's next block: malloc would give these pages back and fetch them again.
  thread_local Bytes room;
  if (room.size() < stored_bytes) room.resize(stored_bytes);
  const std::span stored = std::span(room).first(stored_bytes);
  image_.read(start, stored);
  try {
    return decompressor_.decompress(stored, into);
  } catch (const Error& error) {
    image_.refuse(error.message());
  }
}

void Reader::read_block(std::uint64_t start, std::uint32_t word, std::span<std::byte> into) const {
  const std::size_t size = word & k_stored_size_mask;
  if (size == 0) {
    std::ranges::fill(into, std::byte{0});
    return;
  }
  const bool is_raw = (word & k_raw_block) != 0;
  if (is_raw && size == into.size()) return image_.read(start, into);
  if (is_raw || decompress(start, size, into) != into.size()) image_.refuse("a block has the wrong size");
}

std::size_t Reader::read_fragment(const FragmentBlock& block, std::span<std::byte> into) const {
  const std::size_t size = block.size_word & k_stored_size_mask;
  if ((block.size_word & k_raw_block) == 0) return decompress(block.start, size, into);
  image_.read(block.start, into.first(size));
  return size;
}

std::uint32_t Reader::read_block_word(MetadataCursor& cursor) const {
  const auto word = cursor.read<std::uint32_t>();
  if ((word & ~(k_raw_block | k_stored_size_mask)) != 0 || (word & k_stored_size_mask) > superblock_.block_bytes) {
    image_.refuse("the size of a file's block is wrong");
  }
  return word;
}

FileContent Reader::content(const StoredFile& file) const {
  FileContent content{.size_bytes = file.size_bytes,
                      .start = file.start,
                      .fragment = file.fragment,
                      .fragment_offset = file.fragment_offset,
                      .hole_bytes = file.hole_bytes};
  if (file.block_count == 0) return content;
  MetadataCursor words = inode_table(file.block_words);
  std::uint64_t stored_bytes = 0;
  for (std::uint32_t i = 0; i < file.block_count; ++i) {
    content.block_words.push_back(read_block_word(words));
    stored_bytes += content.block_words.back() & k_stored_size_mask;
  }
  if (stored_bytes > superblock_.bytes_used || file.start > superblock_.bytes_used - stored_bytes) {
    image_.refuse("a file's blocks lie outside of it");
  }
  return content;
}

Bytes Reader::read_part(const FileContent& file, std::uint64_t number, std::uint64_t start) const {
  const std::uint64_t begin = number * superblock_.block_bytes;
  Bytes part(std::min<std::uint64_t>(file.size_bytes - begin, superblock_.block_bytes));
  if (number < file.block_words.size()) {
    read_block(start, file.block_words[number], part);
    return part;
  }
  Bytes fragment_block(superblock_.block_bytes);
  if (file.fragment_offset + part.size() > read_fragment(fragment(file.fragment), fragment_block)) {
    image_.refuse("a file's tail lies outside of its fragment");
  }
  std::ranges::copy(std::span(fragment_block).subspan(file.fragment_offset, part.size()), part.begin());
  return part;
}

std::size_t Reader::read_file(const FileContent& file, std::uint64_t offset, std::span<std::byte> into) const {
  std::size_t done = 0;
  std::uint64_t start = file.start;
  std::uint64_t number = 0;
  while (done < into.size() && offset + done < file.size_bytes) {
    for (const std::uint64_t wanted = (offset + done) / superblock_.block_bytes; number < wanted; ++number) {
      start += file.block_words[number] & k_stored_size_mask;
    }
    const Bytes part = read_part(file, number, start);
    const auto rest = std::span(part).subspan((offset + done) % superblock_.block_bytes);
    const std::size_t size = std::min(rest.size(), into.size() - done);
    std::ranges::copy(rest.first(size), into.begin() + static_cast<std::ptrdiff_t>(done));
    done += size;
  }
  return done;
}

}  // namespace mlctr::squashfs
