// One directory's entries in the directory table, and the index that lets a lookup skip to the right metadata block.
//
//   listing = { header { entry } }       runs of 1 to 256 entries whose inodes share a metadata block
//   header  = u32 entries-1  u32 block of their inodes  u32 base inode number
//   entry   = u16 offset of its inode in that block  s16 inode number - base  u16 basic type  u16 name bytes-1  name
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "squashfs/format.hpp"
#include "squashfs/metadata_writer.hpp"

namespace mlctr::squashfs {

/// Points to the first entry of a run that starts in a new metadata block.
struct IndexEntry {
  std::uint32_t listing_offset = 0;
  std::uint32_t block = 0;  ///< of the directory table
  std::string name;
};

struct Listing {
  MetadataPosition start;
  std::uint32_t size_bytes = 0;
  std::vector<IndexEntry> index;
};

struct ListedInode {
  InodeType type = InodeType::file;
  MetadataPosition position;
  std::uint32_t number = 0;
};

enum class ListingIndex { none, one_a_block };

class ListingWriter {
 public:
  ListingWriter(MetadataWriter& directories, ListingIndex index);

  /// Names in bytewise order.
  void add(std::string_view name, const ListedInode& inode);
  Listing finish();

 private:
  bool fits_run(const ListedInode& inode) const;
  bool is_in_new_block() const;
  void begin_run(std::string_view name, const ListedInode& inode);
  void end_run();

  MetadataWriter& directories_;
  ListingIndex wants_index_;
  Listing listing_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t indexed_block_ = 0;  // counted in uncompressed blocks from the listing's first
  ListedInode base_;
  std::uint32_t run_entries_ = 0;
  Bytes run_;
};

}  // namespace mlctr::squashfs
