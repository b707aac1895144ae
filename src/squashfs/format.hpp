// The numbers and records of squashfs 4.0 on disk. All little-endian, none aligned.
// Source: https://dr-emann.github.io/squashfs/ and the kernel's fs/squashfs/squashfs_fs.h.
//
//   image    = superblock data-blocks fragment-blocks inode-table directory-table fragment-table id-table
//   [xattr-tables] padding table    = { metadata-block }             inodes and directory entries; referred to by
//   (block start, offset in payload) lookup   = { metadata-block } { u64 block position }     fragments, ids, xattr
//   ids; the superblock points to the u64s metadata = u16 (stored bytes | 0x8000 where not compressed) payload, 8 KiB
//   of it uncompressed but in the last block
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mlctr::squashfs {

using Bytes = std::vector<std::byte>;

inline constexpr std::size_t k_superblock_bytes = 96;
inline constexpr std::size_t k_metadata_bytes = 8192;
inline constexpr std::uint16_t k_raw_metadata = 0x8000;
inline constexpr std::uint64_t k_no_table = ~std::uint64_t{0};
inline constexpr std::uint32_t k_no_xattrs = 0xffffffff;
inline constexpr std::size_t k_max_name_bytes = 255;
inline constexpr std::uint32_t k_entries_a_header = 256;
inline constexpr std::uint32_t k_listing_overhead = 3;  ///< a directory's size counts 3 bytes for "." and ".."
inline constexpr std::size_t k_max_ids = 65536;
inline constexpr std::size_t k_fragment_entry_bytes = 16;
inline constexpr std::size_t k_xattr_id_bytes = 16;

/// The low bits of a block's size word; k_raw_block (tree.hpp) is the only other one in use.
inline constexpr std::uint32_t k_stored_size_mask = (1u << 24) - 1;

enum class CompressorId : std::uint16_t { gzip = 1, lzma = 2, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

/// Inode types. Directory entries hold the basic one also where the inode is extended.
enum class InodeType : std::uint16_t { directory = 1, file, symlink, block_device, character_device, fifo, socket };
inline constexpr std::uint16_t k_extended = 7;  ///< added to a basic type: with xattrs, link count, wide sizes

enum SuperblockFlags : std::uint16_t {
  k_flag_raw_inodes = 0x0001,
  k_flag_raw_xattrs = 0x0100,
  k_flag_compressor_options = 0x0400,
  k_flag_raw_ids = 0x0800,
};

enum class XattrPrefix : std::uint16_t { user = 0, trusted = 1, security = 2 };
inline constexpr std::uint16_t k_xattr_out_of_line = 0x0100;

/// Byte positions count from the start of the image, not of the file it lies in.
struct Superblock {
  std::uint32_t inode_count = 0;
  std::uint32_t made_at = 0;
  std::uint32_t block_bytes = 0;
  std::uint32_t fragment_count = 0;
  CompressorId compressor = CompressorId::zstd;
  std::uint16_t flags = 0;
  std::uint16_t id_count = 0;
  std::uint64_t root_inode = 0;  ///< block start << 16 | offset
  std::uint64_t bytes_used = 0;
  std::uint64_t id_table = 0;
  std::uint64_t xattr_table = k_no_table;
  std::uint64_t inode_table = 0;
  std::uint64_t directory_table = 0;
  std::uint64_t fragment_table = 0;
  std::uint64_t export_table = k_no_table;
};

Bytes encode(const Superblock& superblock);

/// Throws Error (the cause only) where magic, version, block size, compressor or the order of the tables is wrong, or
/// the image is longer than `available_bytes`.
Superblock decode_superblock(std::span<const std::byte> bytes, std::uint64_t available_bytes);

/// Where a record lies in a table: the start of its metadata block counted from the table's, and the place in its
/// payload.
struct MetadataPosition {
  std::uint64_t block = 0;
  std::uint16_t offset = 0;

  bool operator==(const MetadataPosition&) const = default;
  std::uint64_t reference() const { return block << 16 | offset; }
  static MetadataPosition of(std::uint64_t reference) {
    return {reference >> 16, static_cast<std::uint16_t>(reference)};
  }
};

inline void put(Bytes& bytes, std::span<const std::byte> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

template <std::unsigned_integral T>
void put(Bytes& bytes, T value) {
  std::array<std::byte, sizeof(T)> little;
  for (std::size_t i = 0; i < sizeof(T); ++i) little[i] = static_cast<std::byte>(value >> (8 * i));
  put(bytes, std::span<const std::byte>(little));
}

/// The caller has checked that `bytes` holds a T at `offset`.
template <std::unsigned_integral T>
T get(std::span<const std::byte> bytes, std::size_t offset = 0) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[offset + i]) << (8 * i)));
  }
  return value;
}

}  // namespace mlctr::squashfs
