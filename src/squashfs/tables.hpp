// The metadata of a squashfs 4.0 image: written after its data blocks from a Tree, and read back into one.
// Format: https://dr-emann.github.io/squashfs/ and the kernel's fs/squashfs/squashfs_fs.h.
#pragma once

#include <cstdint>
#include <filesystem>

#include "squashfs/block_format.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// Where data may begin: the superblock's 96 bytes rounded up to a page, so that a merge can share extents (reflink).
inline constexpr std::uint64_t k_data_start = 4096;

/// How inodes, directory entries, ids and xattrs lie on disk. Uncompressed they take 0.7% more space, are read without
/// a decompressor and cost the kernel nothing (DESIGN decision 4); zstd is here to measure that again.
enum class MetadataCompression { none, zstd };

/// Writes inode, directory, fragment, id and xattr tables at `tables_start`, then the superblock at 0, and cuts the
/// file to its end, padded to 4 KiB. The inodes of one directory's entries lie together, in the entries' order, which
/// is how a walk asks for them; every listing over 8 KiB gets an index (DESIGN decision 4). Deterministic: made_at is
/// the newest mtime. Xattrs outside user., trusted. and security. have no encoding in squashfs and are left out. Throws
/// Error where the tree has more than squashfs can hold (owners, names, listings). Returns the length of the file.
std::uint64_t write_tables(const Tree& tree, int output, std::uint64_t tables_start,
                           MetadataCompression compression = MetadataCompression::none);
/// For data blocks of any format; metadata stays uncompressed, which every reader takes.
std::uint64_t write_tables(const Tree& tree, int output, std::uint64_t tables_start, const BlockFormat& format);

/// Reads the tables of any squashfs 4.0 image (whatever its compressor) at `offset` of `file`, every number checked.
/// Throws Error "FILE is not a whole squashfs image: …". Layer-file marks (Whiteout, LowerLink, opaque, implied) are
/// decoded.
Tree read_tree(int file, const std::filesystem::path& name, std::uint64_t offset = 0);
Tree read_tree(const Reader& reader);

}  // namespace mlctr::squashfs
