// Random access to any squashfs 4.0 image: what read_tree, `inspect` and the image mount are made of. Nothing is
// believed: every number is checked where it is read, and a broken image throws Error "NAME is not a whole squashfs
// image: …". Thread-safe. Needs little memory (the metadata cache), however large the image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "squashfs/codec.hpp"
#include "squashfs/format.hpp"
#include "squashfs/image_file.hpp"
#include "squashfs/metadata_reader.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

struct StoredDirectory {
  MetadataPosition listing;
  std::uint32_t size_bytes = 0;  ///< of the listing, without the 3 that stand for "." and ".."
  std::uint32_t parent_number = 0;
  std::uint16_t index_count = 0;
  MetadataPosition index;  ///< in the inode table, where index_count is not 0
};

/// A regular file without its block list, which can be as long as the image's tables: Reader::content has all of it,
/// FileBlocks a part.
struct StoredFile {
  std::uint64_t size_bytes = 0;
  std::uint64_t start = 0;  ///< offset of the first data block; 0 where there is none
  std::uint64_t hole_bytes = 0;
  std::uint32_t fragment = k_no_fragment;
  std::uint32_t fragment_offset = 0;
  std::uint32_t block_count = 0;
  MetadataPosition block_words;  ///< in the inode table
};

using StoredKind = std::variant<StoredDirectory, StoredFile, Symlink, Device, Fifo, Socket>;

/// An inode as it lies on disk. Layer marks are not decoded.
struct StoredInode {
  StoredKind kind;
  std::uint16_t permissions = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t number = 0;
  std::uint32_t links = 1;
  std::uint32_t xattrs = k_no_xattrs;  ///< for Reader::xattrs
};

struct StoredEntry {
  std::string name;  ///< 1 to 255 bytes; no '/' or NUL, not "." or ".."
  InodeType type = InodeType::file;
  MetadataPosition inode;
  std::uint32_t inode_number = 0;
};

class Reader;

/// The entries of one directory, in strictly ascending bytewise order.
class DirectoryCursor {
 public:
  DirectoryCursor(const Reader& reader, const StoredDirectory& directory);
  /// Begins at a header `listing_offset` bytes into the listing, in `block`: what a directory index says.
  DirectoryCursor(const Reader& reader, const StoredDirectory& directory, std::uint32_t listing_offset,
                  std::uint64_t block);

  std::optional<StoredEntry> next();

  /// How many bytes of the listing lie before what next() reads.
  std::uint64_t listing_offset() const noexcept { return size_bytes_ - remaining_bytes_; }

 private:
  void read_header();

  const Reader& reader_;
  std::optional<MetadataCursor> cursor_;
  std::uint64_t size_bytes_;
  std::uint64_t remaining_bytes_;
  std::uint32_t run_entries_ = 0;
  std::uint64_t run_block_ = 0;
  std::uint32_t run_number_ = 0;
  std::string previous_;
};

class Reader {
 public:
  /// Borrows `file`. `cached_blocks` of metadata, 8 KiB each, are kept. The root is read: it is a directory.
  Reader(int file, const std::filesystem::path& name, std::uint64_t offset = 0, std::size_t cached_blocks = 1024);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const ImageFile& image() const noexcept { return image_; }
  const Superblock& superblock() const noexcept { return superblock_; }

  StoredInode inode(MetadataPosition position) const;
  StoredInode root() const { return inode(MetadataPosition::of(superblock_.root_inode)); }
  /// Uses the directory's index where it has one, as list_from does.
  std::optional<StoredEntry> find(const StoredDirectory& directory, std::string_view name) const;
  /// The entries from `listing_offset` on (DirectoryCursor::listing_offset); an offset inside an entry means the next.
  DirectoryCursor list_from(const StoredDirectory& directory, std::uint64_t listing_offset) const;
  FileContent content(const StoredFile& file) const;
  XattrSet xattrs(std::uint32_t number) const;
  std::uint32_t xattr_set_count() const noexcept { return xattrs_.ids.count(); }
  FragmentBlock fragment(std::uint32_t number) const;

  /// One stored block into `into`, whose size is what it must have uncompressed; a hole gives zeros.
  void read_block(std::uint64_t start, std::uint32_t word, std::span<std::byte> into) const;
  /// A fragment block's content, the tails of several files, into a whole block's room. Returns how many bytes it has.
  std::size_t read_fragment(const FragmentBlock& block, std::span<std::byte> into) const;
  /// Up to into.size() bytes from `offset` on; fewer only at the end of the file. Time grows with the blocks before
  /// `offset`.
  std::size_t read_file(const FileContent& file, std::uint64_t offset, std::span<std::byte> into) const;

  /// The next size word of a block list that `cursor` stands in.
  std::uint32_t read_block_word(MetadataCursor& cursor) const;

  MetadataCursor inode_table(MetadataPosition position) const;
  MetadataCursor directory_table(MetadataPosition position) const;

 private:
  struct XattrTables {
    LookupReader ids;
    TableRange sets;
  };

  std::vector<std::uint32_t> read_ids() const;
  template <class IsBefore>
  DirectoryCursor enter(const StoredDirectory& directory, IsBefore is_before) const;
  LookupReader fragment_table() const;
  XattrTables xattr_tables() const;
  std::size_t decompress(std::uint64_t start, std::size_t stored_bytes, std::span<std::byte> into) const;
  Bytes read_part(const FileContent& file, std::uint64_t number, std::uint64_t start) const;

  ImageFile image_;
  Superblock superblock_;
  Decompressor decompressor_;
  MetadataBlocks blocks_;
  std::vector<std::uint32_t> ids_;
  LookupReader fragments_;
  XattrTables xattrs_;
};

}  // namespace mlctr::squashfs
