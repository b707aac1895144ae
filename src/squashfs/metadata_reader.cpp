#include "squashfs/metadata_reader.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_block_header_bytes = 2;

}  // namespace

MetadataBlocks::MetadataBlocks(const ImageFile& image, const Decompressor& decompressor, std::size_t slots)
    : image_(image), decompressor_(decompressor), slots_(slots) {}

std::shared_ptr<const MetadataBlock> MetadataBlocks::at(std::uint64_t position) const {
  // Blocks are up to 8194 bytes apart, so that a raw table's neighbours get neighbouring slots.
  const std::size_t slot = (position / (k_metadata_bytes + k_block_header_bytes) + position % 61) % slots_.size();
  {
    const std::lock_guard lock(mutex_);
    if (slots_[slot] && slots_[slot]->position == position) return slots_[slot];
  }
  auto block = load(position);  // outside the lock: others may read meanwhile
  const std::lock_guard lock(mutex_);
  slots_[slot] = block;
  return block;
}

std::shared_ptr<const MetadataBlock> MetadataBlocks::load(std::uint64_t position) const {
  std::array<std::byte, k_block_header_bytes + k_metadata_bytes> stored;
  if (position >= image_.size()) image_.refuse("a table lies outside of it");
  const std::size_t there = std::min<std::uint64_t>(stored.size(), image_.size() - position);
  image_.read(position, std::span(stored).first(there));
  if (there < k_block_header_bytes) image_.refuse("it ends too early");
  const auto header = get<std::uint16_t>(stored);
  const std::size_t size = header & ~k_raw_metadata;
  if (size == 0 || size > k_metadata_bytes || size > there - k_block_header_bytes) {
    image_.refuse("the size of a metadata block is wrong");
  }
  auto block = std::make_shared<MetadataBlock>();
  block->position = position;
  block->end = position + k_block_header_bytes + size;
  const auto payload = std::span(stored).subspan(k_block_header_bytes, size);
  if ((header & k_raw_metadata) != 0) {
    std::ranges::copy(payload, block->payload.begin());
    block->size = size;
    return block;
  }
  try {
    block->size = decompressor_.decompress(payload, block->payload);
  } catch (const Error& error) {
    image_.refuse(error.message());
  }
  return block;
}

MetadataCursor::MetadataCursor(const ImageFile& image, const MetadataBlocks& blocks, TableRange table,
                               MetadataPosition position)
    : image_(image), blocks_(blocks), table_(table), next_(table.begin + position.block), offset_(position.offset) {
  if (position.block >= table.end - table.begin) image_.refuse("a position lies outside of its table");
  block_ = blocks_.at(next_);
  next_ = block_->end;
  if (next_ > table_.end || offset_ >= block_->size) image_.refuse("a position lies outside of its metadata block");
}

std::span<const std::byte> MetadataCursor::rest_of_block() {
  if (offset_ == block_->size) {
    if (next_ >= table_.end) image_.refuse("a table ends too early");
    block_ = blocks_.at(next_);
    next_ = block_->end;
    offset_ = 0;
    if (next_ > table_.end || block_->size == 0) image_.refuse("a metadata block crosses the end of its table");
  }
  return block_->bytes().subspan(offset_);
}

void MetadataCursor::read(std::span<std::byte> into) {
  while (!into.empty()) {
    const auto rest = rest_of_block();
    const std::size_t size = std::min(rest.size(), into.size());
    std::memcpy(into.data(), rest.data(), size);
    offset_ += size;
    into = into.subspan(size);
  }
}

std::string MetadataCursor::read_text(std::size_t size) {
  std::string text(size, '\0');
  read(std::as_writable_bytes(std::span(text)));
  return text;
}

void MetadataCursor::skip(std::uint64_t size) {
  while (size > 0) {
    const std::size_t step = std::min<std::uint64_t>(rest_of_block().size(), size);
    offset_ += step;
    size -= step;
  }
}

MetadataPosition MetadataCursor::position() const {
  if (offset_ == block_->size) return {next_ - table_.begin, 0};
  return {block_->position - table_.begin, static_cast<std::uint16_t>(offset_)};
}

LookupReader::LookupReader(const ImageFile& image, const MetadataBlocks& blocks, std::uint64_t positions,
                           std::uint64_t end, std::uint32_t count, std::size_t record_bytes)
    : image_(image), blocks_(blocks), positions_(positions), count_(count), record_bytes_(record_bytes) {
  const std::uint64_t block_count = (std::uint64_t{count} * record_bytes + k_metadata_bytes - 1) / k_metadata_bytes;
  if (positions > end || block_count > (end - positions) / sizeof(std::uint64_t)) {
    image.refuse("a table has more records than bytes for them");
  }
}

MetadataCursor LookupReader::at(std::uint32_t number) const {
  if (number >= count_) image_.refuse("a record is missing in one of its tables");
  const std::uint64_t byte = std::uint64_t{number} * record_bytes_;
  std::array<std::byte, sizeof(std::uint64_t)> position;
  image_.read(positions_ + byte / k_metadata_bytes * position.size(), position);
  // The blocks lie in front of their positions, so that is the end of the table.
  return {image_,
          blocks_,
          {0, positions_},
          {get<std::uint64_t>(position), static_cast<std::uint16_t>(byte % k_metadata_bytes)}};
}

}  // namespace mlctr::squashfs
