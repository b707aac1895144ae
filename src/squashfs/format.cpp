#include "squashfs/format.hpp"

#include <fmt/format.h>

#include <bit>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint32_t k_magic = 0x73717368;  // "hsqs"
constexpr std::uint16_t k_version_major = 4;
constexpr std::uint32_t k_min_block_bytes = 4096;
constexpr std::uint32_t k_max_block_bytes = 1u << 20;

// The kernel refuses tables in another order; with it every table's end is known, which bounds all that is read from
// it.
void check_tables(const Superblock& s) {
  const std::uint64_t xattrs = s.xattr_table == k_no_table ? s.bytes_used : s.xattr_table;
  const std::uint64_t fragments = s.fragment_count == 0 ? s.id_table : s.fragment_table;
  const bool in_order = s.inode_table >= k_superblock_bytes && s.inode_table < s.directory_table &&
                        s.directory_table <= fragments && fragments <= s.id_table && s.id_table < xattrs &&
                        xattrs <= s.bytes_used;
  if (!in_order) throw Error("its tables lie outside the image or in the wrong order");
}

void check_blocks(const Superblock& s, std::uint16_t block_log) {
  if (!std::has_single_bit(s.block_bytes) || s.block_bytes < k_min_block_bytes || s.block_bytes > k_max_block_bytes ||
      std::countr_zero(s.block_bytes) != block_log) {
    throw Error(fmt::format("its block size is {}", s.block_bytes));
  }
}

}  // namespace

Bytes encode(const Superblock& s) {
  Bytes bytes;
  bytes.reserve(k_superblock_bytes);
  put(bytes, k_magic);
  put(bytes, s.inode_count);
  put(bytes, s.made_at);
  put(bytes, s.block_bytes);
  put(bytes, s.fragment_count);
  put(bytes, static_cast<std::uint16_t>(s.compressor));
  put(bytes, static_cast<std::uint16_t>(std::countr_zero(s.block_bytes)));
  put(bytes, s.flags);
  put(bytes, s.id_count);
  put(bytes, k_version_major);
  put(bytes, std::uint16_t{0});
  for (const std::uint64_t position : {s.root_inode, s.bytes_used, s.id_table, s.xattr_table, s.inode_table,
                                       s.directory_table, s.fragment_table, s.export_table}) {
    put(bytes, position);
  }
  return bytes;
}

Superblock decode_superblock(std::span<const std::byte> bytes, std::uint64_t available_bytes) {
  if (bytes.size() < k_superblock_bytes || get<std::uint32_t>(bytes) != k_magic) throw Error("it has no superblock");
  if (get<std::uint16_t>(bytes, 28) != k_version_major) throw Error("it is not of version 4");
  const Superblock s{.inode_count = get<std::uint32_t>(bytes, 4),
                     .made_at = get<std::uint32_t>(bytes, 8),
                     .block_bytes = get<std::uint32_t>(bytes, 12),
                     .fragment_count = get<std::uint32_t>(bytes, 16),
                     .compressor = CompressorId{get<std::uint16_t>(bytes, 20)},
                     .flags = get<std::uint16_t>(bytes, 24),
                     .id_count = get<std::uint16_t>(bytes, 26),
                     .root_inode = get<std::uint64_t>(bytes, 32),
                     .bytes_used = get<std::uint64_t>(bytes, 40),
                     .id_table = get<std::uint64_t>(bytes, 48),
                     .xattr_table = get<std::uint64_t>(bytes, 56),
                     .inode_table = get<std::uint64_t>(bytes, 64),
                     .directory_table = get<std::uint64_t>(bytes, 72),
                     .fragment_table = get<std::uint64_t>(bytes, 80),
                     .export_table = get<std::uint64_t>(bytes, 88)};
  if (s.bytes_used > available_bytes) {
    throw Error(fmt::format("it should have {} bytes but has {}", s.bytes_used, available_bytes));
  }
  check_blocks(s, get<std::uint16_t>(bytes, 22));
  check_tables(s);
  if (s.id_count == 0) throw Error("it has no owners");
  return s;
}

}  // namespace mlctr::squashfs
