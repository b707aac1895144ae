// The order in which a tree's directories and inodes go to disk.
#pragma once

#include <cstdint>
#include <vector>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// A directory before its place in the tables is known.
struct OrderedDirectory {
  InodeIndex index = k_root;
  InodeIndex parent = k_root;
};

struct WalkOrder {
  /// Each after all directories inside it: a listing holds the positions of the inodes it names, a directory's inode
  /// that of its listing, so what is deeper must be placed first.
  std::vector<OrderedDirectory> directories;
  /// By InodeIndex, from 1; 0: no entry reaches it. In the order a walk from the root meets them, the entries of one
  /// directory in a row, so that listings need few headers.
  std::vector<std::uint32_t> numbers;
  std::vector<std::uint32_t> links;  ///< by InodeIndex: entries, and for a directory 2 + directories in it
  std::uint32_t inode_count = 0;
  std::uint32_t newest_mtime = 0;
};

/// Throws Error where a directory is reached twice or a name can't be one. Needs no recursion, however deep the tree.
WalkOrder walk_order(const Tree& tree);

}  // namespace mlctr::squashfs
