// One inode from its bytes (inode_writer.hpp has the grammar), every number checked against the image.
#pragma once

#include <cstdint>
#include <span>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

/// `cursor` stands at the inode and is left behind it (in a directory: at its index; in a file: at its
/// block list). `ids` is the id table.
StoredInode read_inode(MetadataCursor& cursor, const ImageFile& image, const Superblock& superblock,
                       std::span<const std::uint32_t> ids);

}  // namespace mlctr::squashfs
