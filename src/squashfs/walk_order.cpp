#include "squashfs/walk_order.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "squashfs/format.hpp"

namespace mlctr::squashfs {
namespace {

using Children = decltype(Directory::children);

class OrderWalk {
 public:
  explicit OrderWalk(const Tree& tree) : tree_(tree) {
    order_.numbers.resize(tree.inodes.size());
    order_.links.resize(tree.inodes.size());
  }

  WalkOrder run() {
    meet(k_root);
    order_.links[k_root] = 2;
    enter({k_root, k_root});
    while (!open_.empty()) step();
    return std::move(order_);
  }

 private:
  struct Frame {
    OrderedDirectory directory;
    Children::const_iterator next;
  };

  void meet(InodeIndex index) {
    order_.numbers[index] = ++order_.inode_count;
    order_.newest_mtime = std::max(order_.newest_mtime, tree_.inodes[index].mtime);
  }

  // Numbers all entries of the directory at once; the directories among them are walked later.
  void enter(const OrderedDirectory& directory) {
    const Children& children = tree_.directory(directory.index).children;
    for (const auto& [name, child] : children) {
      if (name.empty() || name.size() > k_max_name_bytes) {
        throw Error(
            fmt::format("cannot write the name {}: squashfs has names of 1 to {} bytes", name, k_max_name_bytes));
      }
      const bool is_directory = std::holds_alternative<Directory>(tree_.inodes[child].kind);
      if (order_.numbers[child] == 0) {
        meet(child);
      } else if (is_directory) {
        throw Error(fmt::format("cannot write the directory {}: it is in two places", name));
      }
      order_.links[child] += is_directory ? 2 : 1;
      if (is_directory) ++order_.links[directory.index];
    }
    open_.push_back({directory, children.begin()});
  }

  void step() {
    Frame& frame = open_.back();
    const Children& children = tree_.directory(frame.directory.index).children;
    while (frame.next != children.end()) {
      const InodeIndex child = (frame.next++)->second;
      if (std::holds_alternative<Directory>(tree_.inodes[child].kind)) return enter({child, frame.directory.index});
    }
    order_.directories.push_back(frame.directory);
    open_.pop_back();
  }

  const Tree& tree_;
  WalkOrder order_;
  std::vector<Frame> open_;
};

}  // namespace

WalkOrder walk_order(const Tree& tree) {
  return OrderWalk(tree).run();
}

}  // namespace mlctr::squashfs
