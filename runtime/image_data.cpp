#include "runtime/image_data.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;

constexpr std::size_t k_remembered_long_files = 64;  // of up to 400 KiB each, were they hostile
// With less, threads run dry now and then; with more, a dozen files that are read at once push each other's blocks out
// of a cache of 32 MiB.
constexpr std::uint64_t k_read_ahead_bytes = 2u << 20;
constexpr std::uint64_t k_program_bytes = 4u << 20;

// What holes are made of.
constexpr std::array<std::byte, 16384> k_zeros{};

bool is_hole(const StoredBlock& block) {
  return (block.word & k_stored_size_mask) == 0;
}

void put_zeros(std::vector<DataPiece>& pieces, std::uint64_t size_bytes) {
  for (std::uint64_t left = size_bytes; left > 0; left -= pieces.back().bytes.size()) {
    pieces.push_back({nullptr, std::span(k_zeros).first(std::min<std::uint64_t>(left, k_zeros.size()))});
  }
}

// Those of [first, behind) that the file has as blocks of its own; its tail may be in a fragment.
std::vector<StoredBlock> locate(FileBlocks& blocks, std::uint64_t first, std::uint64_t behind) {
  const std::uint64_t last = std::min<std::uint64_t>(behind, blocks.file().block_count);
  if (first >= last) return {};
  return blocks.locate(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last - first));
}

}  // namespace

ImageData::ImageData(const Reader& image, std::size_t cached_bytes, unsigned read_ahead_threads)
    : image_(image),
      block_bytes_(image.superblock().block_bytes),
      cache_(cached_bytes),
      read_ahead_threads_(read_ahead_threads) {}

ImageData::Blocks ImageData::blocks_of(MetadataPosition inode) {
  const std::uint64_t reference = inode.reference();
  {
    const std::lock_guard lock(long_files_mutex_);
    const auto known = std::ranges::find(long_files_, reference, [](const auto& file) { return file.first; });
    if (known != long_files_.end()) {
      long_files_.splice(long_files_.begin(), long_files_, known);
      return known->second;
    }
  }
  const StoredInode stored = image_.inode(inode);
  const auto* file = std::get_if<StoredFile>(&stored.kind);
  if (file == nullptr) throw Error("not a regular file");
  auto blocks = std::make_shared<FileBlocks>(image_, *file);
  // Of a short file nothing is worth remembering: its list is in the metadata cache.
  if (file->block_count > FileBlocks::k_blocks_a_mark) {
    const std::lock_guard lock(long_files_mutex_);
    long_files_.emplace_front(reference, blocks);
    if (long_files_.size() > k_remembered_long_files) long_files_.pop_back();
  }
  return blocks;
}

BlockKey ImageData::key_of(const StoredFile& file, const StoredBlock& block, std::uint64_t number) const {
  const std::uint64_t rest = file.size_bytes - number * block_bytes_;
  return {block.start, block.word, static_cast<std::uint32_t>(std::min<std::uint64_t>(rest, block_bytes_))};
}

DataPiece ImageData::tail_piece(const StoredFile& file) {
  const FragmentBlock fragment = image_.fragment(file.fragment);
  const BlockCache::Block block =
      cache_.get({fragment.start, fragment.size_word, block_bytes_},
                 [&](std::span<std::byte> into) { return image_.read_fragment(fragment, into); });
  const std::size_t size = file.size_bytes % block_bytes_;
  if (file.fragment_offset + size > block->bytes().size()) {
    image_.image().refuse("a file's tail lies outside of its fragment");
  }
  return {block, block->bytes().subspan(file.fragment_offset, size)};
}

std::vector<DataPiece> ImageData::read(MetadataPosition inode, std::uint64_t offset, std::size_t size_bytes) {
  std::vector<DataPiece> pieces;
  const Blocks blocks = blocks_of(inode);
  const StoredFile& file = blocks->file();
  if (offset >= file.size_bytes) return pieces;
  const std::uint64_t end = offset + std::min<std::uint64_t>(size_bytes, file.size_bytes - offset);
  const std::uint64_t first = offset / block_bytes_;
  const std::uint64_t behind = blocks_up_to(end);
  const std::vector<StoredBlock> stored = locate(*blocks, first, behind);
  for (std::uint64_t number = first; number < behind; ++number) {
    const std::uint64_t begin = number * block_bytes_;
    const std::uint64_t from = std::max(offset, begin) - begin;
    const std::uint64_t size = std::min(end - begin, std::uint64_t{block_bytes_}) - from;
    const bool is_tail = number - first >= stored.size();
    if (!is_tail && is_hole(stored[number - first])) {
      put_zeros(pieces, size);
      continue;
    }
    DataPiece piece = is_tail ? tail_piece(file) : data_piece(file, stored[number - first], number);
    piece.bytes = piece.bytes.subspan(from, size);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

DataPiece ImageData::data_piece(const StoredFile& file, const StoredBlock& block, std::uint64_t number) {
  BlockCache::Block loaded = cache_.get(key_of(file, block, number), [&](std::span<std::byte> into) {
    image_.read_block(block.start, block.word, into);
    return into.size();
  });
  const std::span bytes = loaded->bytes();
  return {std::move(loaded), bytes};
}

template <class Load>
void ImageData::with_blocks_ahead(MetadataPosition inode, const Load& load) noexcept {
  if (reading_ahead_.fetch_add(1) < read_ahead_threads_) {
    try {
      load(*blocks_of(inode));
    } catch (const std::exception&) {
      // See the header.
    }
  }
  reading_ahead_.fetch_sub(1);
}

void ImageData::read_ahead(MetadataPosition inode, std::uint64_t offset, std::uint64_t end) noexcept {
  with_blocks_ahead(inode, [&](FileBlocks& blocks) { load_next(blocks, offset, end); });
}

void ImageData::read_program_ahead(MetadataPosition inode) noexcept {
  const std::uint64_t behind = k_program_bytes / block_bytes_;
  with_blocks_ahead(inode, [&](FileBlocks& blocks) { load(blocks.file(), locate(blocks, 0, behind), 0, behind); });
}

void ImageData::load_next(FileBlocks& blocks, std::uint64_t offset, std::uint64_t end) {
  if (offset < block_bytes_) return;
  const std::uint64_t before = offset / block_bytes_ - 1;
  const std::uint64_t next = blocks_up_to(end);
  const std::uint64_t count = std::max<std::uint64_t>(k_read_ahead_bytes / block_bytes_, 1);
  const std::vector<StoredBlock> stored = locate(blocks, before, next + count);
  if (stored.empty() || !cache_.has(key_of(blocks.file(), stored[0], before))) return;  // not read in order
  const std::size_t known = std::min<std::uint64_t>(next - before, stored.size());
  load(blocks.file(), std::span(stored).subspan(known), next, next + count);
}

void ImageData::load(const StoredFile& file, std::span<const StoredBlock> blocks, std::uint64_t first,
                     std::uint64_t behind) {
  for (std::size_t index = 0; index < blocks.size(); ++index) {
    const StoredBlock& block = blocks[index];
    if (!is_hole(block) && !cache_.has(key_of(file, block, first + index))) data_piece(file, block, first + index);
  }
  if (first + blocks.size() < std::min(behind, blocks_up_to(file.size_bytes))) tail_piece(file);
}

}  // namespace mlctr::runtime
