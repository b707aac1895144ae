// The metadata of a squashfs 4.0 image: written after its data blocks from a Tree, and read back into one.
// Format: https://dr-emann.github.io/squashfs/ and the kernel's fs/squashfs/squashfs_fs.h.
#pragma once

#include <cstdint>
#include <filesystem>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// Where data may begin: the superblock's 96 bytes rounded up to a page, so that a merge can share extents (reflink).
inline constexpr std::uint64_t k_data_start = 4096;

/// Writes inode, directory, fragment, id and xattr tables at `tables_start`, then the superblock at 0, and cuts the file to
/// its end, padded to 4 KiB. Inodes are written in the order a directory walk meets them; every directory listing over
/// 8 KiB gets an index (DESIGN decision 4). Deterministic. Returns the length of the file.
std::uint64_t write_tables(const Tree& tree, int output, std::uint64_t tables_start);

/// Reads the tables of any squashfs 4.0 image (whatever its compressor) at `offset` of `file`, every number checked.
/// Throws Error "FILE is not a whole squashfs image: …". Layer-file marks (Whiteout, LowerLink, opaque, implied) are decoded.
Tree read_tree(int file, const std::filesystem::path& name, std::uint64_t offset = 0);

}  // namespace mlctr::squashfs
