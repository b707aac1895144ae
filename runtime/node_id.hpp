// FUSE's node ids: the place of an inode in the image's inode table, so that the server remembers nothing.
#pragma once

#include <cstdint>

#include "squashfs/reader.hpp"

namespace mlctr::runtime {

class NodeIds {
 public:
  explicit NodeIds(const squashfs::Reader& image) : root_(image.superblock().root_inode) {}

  std::uint64_t of(squashfs::MetadataPosition inode) const {
    const std::uint64_t reference = inode.reference();
    return reference == root_ ? k_root_id : reference + k_taken_ids;
  }

  /// Of an id that of() gave; another one leads outside of the inode table, which Reader refuses.
  squashfs::MetadataPosition position(std::uint64_t id) const {
    return squashfs::MetadataPosition::of(id == k_root_id ? root_ : id - k_taken_ids);
  }

 private:
  // 0 means "no entry" and 1 the root, wherever its inode lies; a reference may be 0 or 1 too, so that all are moved.
  static constexpr std::uint64_t k_root_id = 1;
  static constexpr std::uint64_t k_taken_ids = 2;

  std::uint64_t root_;
};

}  // namespace mlctr::runtime
