// What stands before a member's content in a tar: POSIX.1-2017's ustar block (pax, "ustar Interchange Format"), behind
// a pax extended header where its fields are too small. Extended attributes as everybody has them: SCHILY.xattr.NAME.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

inline constexpr std::size_t k_tar_block_bytes = 512;

struct TarHeader {
  enum class Type : char {
    file = '0',
    hard_link = '1',
    symlink = '2',
    character_device = '3',
    block_device = '4',
    directory = '5',
    fifo = '6',
  };
  Type type = Type::file;
  std::string path{};         ///< a directory's ends in '/'
  std::string link_target{};  ///< of hard links and symlinks
  std::uint64_t size_bytes = 0;
  std::uint16_t permissions = 0;
  std::uint32_t uid = 0, gid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t device_major = 0, device_minor = 0;
  XattrSet xattrs{};  ///< sorted
};

/// Whole blocks. The same member gives the same bytes. Throws Error where no tar can say what it has: an attribute
/// whose name holds '='.
std::string write_tar_header(const TarHeader& member);

/// In one block, whatever the size: beyond 8 GiB in GNU's binary form, which all readers know. Of `header` only path (at
/// most 100 bytes), permissions and size count.
std::string write_tar_block(const TarHeader& header);

/// The zeros that fill up a content's last block.
inline std::size_t tar_padding(std::uint64_t size_bytes) {
  return (k_tar_block_bytes - size_bytes % k_tar_block_bytes) % k_tar_block_bytes;
}

}  // namespace mlctr::squashfs
