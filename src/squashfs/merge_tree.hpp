// Applies layers to a tree, base first: what a name means once all layers have had their say.
// Rules: the OCI image spec's layer.md, and where it is silent what `umoci unpack` does.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

inline constexpr std::uint32_t k_no_layer = std::numeric_limits<std::uint32_t>::max();

class MergedTree {
 public:
  MergedTree();

  /// `layer` is used up. Its file contents keep their places in its own file: layer_of() says whose they are.
  /// Throws Error where a link's target is nowhere to be found.
  void apply(Tree layer);

  /// As apply(), but the data belongs to no layer.
  void lay(Tree tree);

  /// The inode gets `path` ("/.mlctr/config.json"), in directories made for it alone: what layers have in the place of
  /// one goes, symlinks included. Its data belongs to no layer.
  void put(std::string_view path, Inode inode);

  Tree& tree() noexcept { return tree_; }
  const Tree& tree() const noexcept { return tree_; }
  /// Number of the layer, from 0 in the order of apply(), that an inode came from or was last changed by.
  std::uint32_t layer_of(InodeIndex index) const { return origins_[index]; }

 private:
  class LayerApplication;

  InodeIndex add(Inode inode, InodeIndex parent);
  InodeIndex add_plain_directory(InodeIndex parent);

  Tree tree_;
  std::uint32_t layers_ = 0;
  std::vector<std::uint32_t> origins_;  // by InodeIndex
  std::vector<InodeIndex> parents_;     // by InodeIndex; meaningful for directories, which have one
};

}  // namespace mlctr::squashfs
