// The xattr tables: each different set once, however many inodes have it.
//
//   set      = { u16 prefix  u16 name bytes  name without prefix  u32 value bytes  value }    in metadata blocks
//   xattr id = u64 position of a set  u32 entries  u32 bytes                                 a lookup table
//   header   = u64 start of the sets  u32 ids  u32 0                                         before the lookup's
//   positions
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "squashfs/format.hpp"
#include "squashfs/metadata_writer.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

class XattrWriter {
 public:
  explicit XattrWriter(MetadataCompression compression) : sets_(compression), compression_(compression) {}

  /// The number of an equal set, k_no_xattrs for an empty one. Names without a squashfs prefix are left out.
  std::uint32_t add(const XattrSet& set);

  bool is_empty() const { return known_.empty(); }
  /// The tables as they go to `start`, the position in the result being the superblock's. Call once.
  LookupTable finish(std::uint64_t start);

 private:
  MetadataWriter sets_;
  MetadataCompression compression_;
  Bytes ids_;
  std::unordered_map<std::string, std::uint32_t> known_;  // by a set's bytes on disk
};

}  // namespace mlctr::squashfs
