#include "squashfs/reader.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "squashfs/inode_reader.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_xattr_header_bytes = 16;

Superblock read_superblock(const ImageFile& image) {
  Bytes bytes(std::min<std::uint64_t>(image.size(), k_superblock_bytes));
  image.read(0, bytes);
  try {
    return decode_superblock(bytes, image.size());
  } catch (const Error& error) {
    image.refuse(error.message());
  }
}

Decompressor make_decompressor(const ImageFile& image, const Superblock& superblock) {
  try {
    return Decompressor(superblock.compressor, superblock.block_bytes);
  } catch (const Error& error) {
    image.refuse(error.message());
  }
}

}  // namespace

Reader::Reader(int file, const std::filesystem::path& name, std::uint64_t offset, std::size_t cached_blocks)
    : image_(file, name, offset),
      superblock_(read_superblock(image_)),
      decompressor_(make_decompressor(image_, superblock_)),
      blocks_(image_, decompressor_, cached_blocks),
      ids_(read_ids()),
      fragments_(fragment_table()),
      xattrs_(xattr_tables()) {
  if (!std::holds_alternative<StoredDirectory>(root().kind)) image_.refuse("its root is not a directory");
}

std::vector<std::uint32_t> Reader::read_ids() const {
  const LookupReader table(image_, blocks_, superblock_.id_table, superblock_.bytes_used, superblock_.id_count,
                           sizeof(std::uint32_t));
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i < table.count(); ++i) ids.push_back(table.at(i).read<std::uint32_t>());
  return ids;
}

LookupReader Reader::fragment_table() const {
  if (superblock_.fragment_count == 0) return {image_, blocks_};
  return {image_,
          blocks_,
          superblock_.fragment_table,
          superblock_.bytes_used,
          superblock_.fragment_count,
          k_fragment_entry_bytes};
}

Reader::XattrTables Reader::xattr_tables() const {
  if (superblock_.xattr_table == k_no_table) return {{image_, blocks_}, {}};
  std::array<std::byte, k_xattr_header_bytes> header;
  image_.read(superblock_.xattr_table, header);
  const auto sets_begin = get<std::uint64_t>(header);
  if (sets_begin > superblock_.xattr_table) image_.refuse("its extended attributes lie outside of it");
  return {{image_, blocks_, superblock_.xattr_table + k_xattr_header_bytes, superblock_.bytes_used,
           get<std::uint32_t>(header, 8), k_xattr_id_bytes},
          {sets_begin, superblock_.xattr_table}};
}

MetadataCursor Reader::inode_table(MetadataPosition position) const {
  return {image_, blocks_, {superblock_.inode_table, superblock_.directory_table}, position};
}

MetadataCursor Reader::directory_table(MetadataPosition position) const {
  // Where the table ends only its last block says; the next table's blocks lie in front of that one's positions.
  const std::uint64_t end = superblock_.fragment_count == 0 ? superblock_.id_table : superblock_.fragment_table;
  return {image_, blocks_, {superblock_.directory_table, end}, position};
}

StoredInode Reader::inode(MetadataPosition position) const {
  MetadataCursor cursor = inode_table(position);
  return read_inode(cursor, image_, superblock_, ids_);
}

// A cursor at the last place of the directory's index of which `is_before` holds, or at the listing's start.
template <class IsBefore>
DirectoryCursor Reader::enter(const StoredDirectory& directory, IsBefore is_before) const {
  std::uint32_t listing_offset = 0;
  std::uint64_t block = directory.listing.block;
  if (directory.index_count > 0 && directory.size_bytes > 0) {
    MetadataCursor index = inode_table(directory.index);
    for (std::uint32_t i = 0; i < directory.index_count; ++i) {
      const auto entry_offset = index.read<std::uint32_t>();
      const auto entry_block = index.read<std::uint32_t>();
      const auto name_bytes = std::uint64_t{index.read<std::uint32_t>()} + 1;
      if (name_bytes > k_max_name_bytes) image_.refuse("a directory's index is broken");
      if (!is_before(entry_offset, index.read_text(name_bytes))) break;
      listing_offset = entry_offset;
      block = entry_block;
    }
  }
  return listing_offset == 0 ? DirectoryCursor(*this, directory)
                             : DirectoryCursor(*this, directory, listing_offset, block);
}

std::optional<StoredEntry> Reader::find(const StoredDirectory& directory, std::string_view name) const {
  DirectoryCursor entries = enter(directory, [&](std::uint32_t, std::string_view first) { return first <= name; });
  while (auto entry = entries.next()) {
    if (entry->name == name) return entry;
    if (entry->name > name) break;
  }
  return std::nullopt;
}

DirectoryCursor Reader::list_from(const StoredDirectory& directory, std::uint64_t listing_offset) const {
  DirectoryCursor entries =
      enter(directory, [&](std::uint32_t place, std::string_view) { return place <= listing_offset; });
  while (entries.listing_offset() < listing_offset && entries.next()) {
  }
  return entries;
}

FragmentBlock Reader::fragment(std::uint32_t number) const {
  MetadataCursor cursor = fragments_.at(number);
  FragmentBlock fragment;
  fragment.start = cursor.read<std::uint64_t>();
  fragment.size_word = cursor.read<std::uint32_t>();
  const std::uint32_t size = fragment.size_word & k_stored_size_mask;
  if ((fragment.size_word & ~(k_raw_block | k_stored_size_mask)) != 0 || size == 0 || size > superblock_.block_bytes ||
      fragment.start > superblock_.bytes_used - size) {
    image_.refuse("a fragment lies outside of it");
  }
  return fragment;
}

}  // namespace mlctr::squashfs
