// One inode as bytes: basic where that is enough, extended where it has xattrs, several links, holes, large numbers or
// an index.
//
//   inode     = u16 type  u16 permissions  u16 uid  u16 gid (places in the id table)  u32 mtime  u32 number  body
//   directory = u32 block  u32 links  u16 size+3  u16 offset  u32 parent number
//             | u32 links  u32 size+3  u32 block  u32 parent number  u16 index entries  u16 offset  u32 xattrs  { index
//             }
//   index     = u32 listing offset  u32 block  u32 name bytes-1  name
//   file      = u32 start  u32 fragment  u32 fragment offset  u32 size  { u32 block word }
//             | u64 start  u64 size  u64 hole bytes  u32 links  u32 fragment  u32 fragment offset  u32 xattrs  { u32
//             block word }
//   symlink   = u32 links  u32 target bytes  target [u32 xattrs]
//   device    = u32 links  u32 device [u32 xattrs]
//   fifo, socket = u32 links [u32 xattrs]
#pragma once

#include <cstdint>

#include "squashfs/format.hpp"
#include "squashfs/listing_writer.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// What an inode record says that the tree's Inode does not.
struct InodePlace {
  std::uint32_t number = 0;
  std::uint32_t parent_number = 0;  ///< directories
  std::uint32_t links = 1;
  std::uint16_t uid_index = 0;
  std::uint16_t gid_index = 0;
  std::uint32_t xattrs = k_no_xattrs;
  const Listing* listing = nullptr;           ///< directories
  std::uint32_t block_bytes = k_block_bytes;  ///< of the image
};

/// Marks of layer files become what layer_marks.hpp says; their xattrs are the caller's to pass.
InodeType disk_type(const InodeKind& kind);

Bytes encode(const Inode& inode, const InodePlace& place);

}  // namespace mlctr::squashfs
