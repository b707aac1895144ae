#include "squashfs/tree.hpp"

#include "base/error.hpp"

namespace mlctr::squashfs {

Tree::Tree() : xattr_sets(1), known_xattrs_{{XattrSet{}, 0}} { add({.kind = Directory{}}); }

InodeIndex Tree::add(Inode inode) {
  if (inodes.size() >= 0xfffffff0u) throw Error("too many files for one squashfs image (2^32)");
  inodes.push_back(std::move(inode));
  return static_cast<InodeIndex>(inodes.size() - 1);
}

std::uint32_t Tree::xattr_index(XattrSet set) {
  const auto [known, is_new] = known_xattrs_.try_emplace(std::move(set), static_cast<std::uint32_t>(xattr_sets.size()));
  if (is_new) xattr_sets.push_back(known->first);
  return known->second;
}

}  // namespace mlctr::squashfs
