// Packs records into metadata blocks, and knows where each one landed.
#pragma once

#include <cstdint>
#include <span>

#include "squashfs/format.hpp"
#include "squashfs/tables.hpp"

namespace mlctr::squashfs {

class MetadataWriter {
 public:
  explicit MetadataWriter(MetadataCompression compression) : compression_(compression) {}

  /// Where the next byte goes. Never the end of a full block: that is the start of the next.
  MetadataPosition position() const;
  void append(std::span<const std::byte> record);

  /// The finished blocks with their headers; call once, after the last append.
  Bytes finish();

 private:
  void close_block();

  MetadataCompression compression_;
  Bytes blocks_;   // closed blocks, as they go to disk
  Bytes payload_;  // of the block being filled
};

/// Fixed-size records that are looked up by number: metadata blocks followed by the position of each.
struct LookupTable {
  Bytes bytes;                  ///< blocks, then positions
  std::uint64_t positions = 0;  ///< absolute position of the positions, which is what the superblock holds
};

/// `records` go to `start`; `before_positions` between the blocks and their positions (the xattr table has a header
/// there).
LookupTable make_lookup_table(std::span<const std::byte> records, std::uint64_t start, MetadataCompression compression,
                              std::span<const std::byte> before_positions = {});

}  // namespace mlctr::squashfs
