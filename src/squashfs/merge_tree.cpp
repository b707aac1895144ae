#include "squashfs/merge_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/error.hpp"
#include "squashfs/walk_order.hpp"

namespace mlctr::squashfs {
namespace {

constexpr int k_max_merged_symlinks = 40;  // as Linux allows in one path

bool is_directory(const Inode& inode) {
  return std::holds_alternative<Directory>(inode.kind);
}

// "usr/./lib//x" -> usr, lib, x; last first, so that a symlink's target can be put on top.
std::vector<std::string> reversed_components(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::size_t slash = path.rfind('/');
    const std::string_view component = slash == path.npos ? path : path.substr(slash + 1);
    if (!component.empty() && component != ".") components.emplace_back(component);
    path = slash == path.npos ? std::string_view{} : path.substr(0, slash);
  }
  return components;
}

}  // namespace

MergedTree::MergedTree() : origins_(1, k_no_layer), parents_(1, k_root) {}

InodeIndex MergedTree::add(Inode inode, InodeIndex parent) {
  const InodeIndex index = tree_.add(std::move(inode));
  origins_.push_back(layers_);
  parents_.push_back(parent);
  return index;
}

InodeIndex MergedTree::add_plain_directory(InodeIndex parent) {
  return add({.kind = Directory{}}, parent);
}

// One layer on its way into the merged tree. Whiteouts and opaque marks remove only what lower layers have: a layer may
// remove a name and bring it anew, in any order of its tar.
class MergedTree::LayerApplication {
 public:
  LayerApplication(MergedTree& merged, Tree layer)
      : merged_(merged),
        layer_(std::move(layer)),
        added_(layer_.inodes.size(), k_not_added),
        brings_(layer_.inodes.size()),
        xattrs_(layer_.xattr_sets.size(), k_not_added) {}

  void run() {
    find_bringing_directories();
    find_targets_below();
    enter(k_root, k_root);
    while (!open_.empty()) {
      const auto [layer_directory, directory] = open_.back();
      open_.pop_back();
      for (const auto& [name, child] : layer_.directory(layer_directory).children) {
        apply_child(name, child, directory);
      }
    }
    for (const PendingLink& link : links_) make_link(link);
  }

 private:
  static constexpr std::uint32_t k_not_added = std::numeric_limits<std::uint32_t>::max();

  struct OpenDirectory {
    InodeIndex in_layer;
    InodeIndex merged;
  };
  struct PendingLink {
    InodeIndex directory;
    std::string name;
    InodeIndex in_layer;
  };

  Directory& merged_directory(InodeIndex index) { return merged_.tree_.directory(index); }
  Inode& merged_inode(InodeIndex index) { return merged_.tree_.inodes[index]; }
  bool is_of_this_layer(InodeIndex index) const { return merged_.origins_[index] == merged_.layers_; }

  std::optional<InodeIndex> find(InodeIndex directory, std::string_view name) {
    const auto& children = merged_directory(directory).children;
    const auto child = children.find(name);
    return child == children.end() ? std::nullopt : std::optional(child->second);
  }

  // A directory that only removes (`b/.wh.x` where no lower layer has b) must not come to be.
  void find_bringing_directories() {
    for (const OrderedDirectory& directory : walk_order(layer_).directories) {
      brings_[directory.index] =
          std::ranges::any_of(layer_.directory(directory.index).children, [&](const auto& child) {
            const InodeKind& kind = layer_.inodes[child.second].kind;
            const auto* inner = std::get_if<Directory>(&kind);
            if (inner != nullptr) return inner->origin == DirectoryOrigin::listed || brings_[child.second];
            return !std::holds_alternative<Whiteout>(kind);
          });
    }
  }

  // A link of the layer means what was there before it: its tar may go on to remove that name, or to bring it anew.
  void find_targets_below() {
    for (InodeIndex i = 0; i < layer_.inodes.size(); ++i) {
      const auto* link = std::get_if<LowerLink>(&layer_.inodes[i].kind);
      if (link == nullptr) continue;
      if (const auto target = find_target(link->target)) targets_below_.emplace(i, *target);
    }
  }

  std::optional<InodeIndex> find_target(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    const auto directory =
        slash == path.npos ? std::optional(k_root) : resolve(k_root, path.substr(0, slash), Missing::stop);
    if (!directory) return std::nullopt;
    const auto target = find(*directory, slash == path.npos ? path : path.substr(slash + 1));
    if (!target || is_directory(merged_inode(*target)) ||
        std::holds_alternative<LowerLink>(merged_inode(*target).kind)) {
      return std::nullopt;
    }
    return target;
  }

  enum class Missing { stop, make_directories };

  // The directory `path` means, symlinks followed without ever leaving the root.
  std::optional<InodeIndex> resolve(InodeIndex directory, std::string_view path, Missing missing) {
    std::vector<std::string> rest = reversed_components(path);
    if (path.starts_with('/')) directory = k_root;
    int symlinks = 0;
    while (!rest.empty()) {
      const std::string name = std::exchange(rest.back(), {});
      rest.pop_back();
      if (name == "..") {
        directory = merged_.parents_[directory];
        continue;
      }
      auto child = find(directory, name);
      if (!child && missing == Missing::make_directories) {
        child = merged_.add_plain_directory(directory);
        merged_directory(directory).children.emplace(name, *child);
      }
      if (!child) return std::nullopt;
      const Inode& inode = merged_inode(*child);
      if (const auto* link = std::get_if<Symlink>(&inode.kind)) {
        if (++symlinks > k_max_merged_symlinks) return std::nullopt;
        if (link->target.starts_with('/')) directory = k_root;
        for (std::string& component : reversed_components(link->target)) rest.push_back(std::move(component));
        continue;
      }
      if (!is_directory(inode)) return std::nullopt;
      directory = *child;
    }
    return directory;
  }

  // Walks into a directory of the layer, whose counterpart exists now.
  void enter(InodeIndex in_layer, InodeIndex merged) {
    const Directory& directory = layer_.directory(in_layer);
    if (directory.is_opaque) {
      std::erase_if(merged_directory(merged).children,
                    [&](const auto& child) { return !is_of_this_layer(child.second); });
    }
    if (directory.origin == DirectoryOrigin::listed) {
      copy_attributes(layer_.inodes[in_layer], merged_inode(merged));
      merged_.origins_[merged] = merged_.layers_;
    }
    open_.push_back({in_layer, merged});
  }

  void apply_child(const std::string& name, InodeIndex in_layer, InodeIndex directory) {
    const InodeKind& kind = layer_.inodes[in_layer].kind;
    if (std::holds_alternative<Directory>(kind)) {
      if (const auto merged = directory_for(name, in_layer, directory)) enter(in_layer, *merged);
    } else if (std::holds_alternative<Whiteout>(kind)) {
      const auto lower = find(directory, name);
      if (lower && !is_of_this_layer(*lower)) merged_directory(directory).children.erase(name);
    } else if (std::holds_alternative<LowerLink>(kind)) {
      links_.push_back({directory, name, in_layer});
    } else {
      const InodeIndex added = add_once(in_layer);  // before the directory is looked up: it moves all inodes
      merged_directory(directory).children.insert_or_assign(name, added);
    }
  }

  // Where a directory of the layer goes: the one below, what a symlink below means, or a new one. None where it would
  // only remove what is not there.
  std::optional<InodeIndex> directory_for(const std::string& name, InodeIndex in_layer, InodeIndex parent) {
    const auto lower = find(parent, name);
    if (lower && is_directory(merged_inode(*lower))) return *lower;
    const bool is_implied = layer_.directory(in_layer).origin == DirectoryOrigin::implied;
    const bool only_removes = is_implied && !brings_[in_layer];
    if (lower && is_implied && std::holds_alternative<Symlink>(merged_inode(*lower).kind)) {
      const auto meant = resolve(parent, name, only_removes ? Missing::stop : Missing::make_directories);
      if (meant) return meant;
    }
    if (only_removes) return std::nullopt;
    const InodeIndex created = merged_.add_plain_directory(parent);
    merged_directory(parent).children.insert_or_assign(name, created);
    return created;
  }

  // Names of one inode in the layer stay names of one inode.
  InodeIndex add_once(InodeIndex in_layer) {
    InodeIndex& index = added_[in_layer];
    if (index != k_not_added) return index;
    Inode inode = std::move(layer_.inodes[in_layer]);
    inode.xattrs = xattrs_of(inode.xattrs);
    return index = merged_.add(std::move(inode), k_root);
  }

  std::uint32_t xattrs_of(std::uint32_t in_layer) {
    std::uint32_t& index = xattrs_[in_layer];
    if (index == k_not_added) index = merged_.tree_.xattr_index(layer_.xattr_sets[in_layer]);
    return index;
  }

  void copy_attributes(const Inode& from, Inode& to) {
    to.permissions = from.permissions;
    to.uid = from.uid;
    to.gid = from.gid;
    to.mtime = from.mtime;
    to.xattrs = xattrs_of(from.xattrs);
  }

  void make_link(const PendingLink& link) {
    const std::string& path = std::get<LowerLink>(layer_.inodes[link.in_layer].kind).target;
    const auto below = targets_below_.find(link.in_layer);
    const auto target = below != targets_below_.end() ? std::optional(below->second) : find_target(path);
    if (!target) {
      throw Error(fmt::format("cannot make {} a hard link: no file /{} in this layer or below", path_of(link), path));
    }
    merged_directory(link.directory).children.insert_or_assign(link.name, *target);
  }

  std::string path_of(const PendingLink& link) {
    std::string path = "/" + link.name;
    for (InodeIndex at = link.directory; at != k_root; at = merged_.parents_[at]) {
      for (const auto& [name, child] : merged_directory(merged_.parents_[at]).children) {
        if (child == at) path.insert(0, "/" + name);
      }
    }
    return path;
  }

  MergedTree& merged_;
  Tree layer_;
  std::vector<InodeIndex> added_;      // by the layer's InodeIndex
  std::vector<bool> brings_;           // by the layer's InodeIndex: a directory with more than whiteouts in it
  std::vector<std::uint32_t> xattrs_;  // by the layer's set
  std::vector<OpenDirectory> open_;
  std::vector<PendingLink> links_;
  std::unordered_map<InodeIndex, InodeIndex> targets_below_;  // of the layer's links
};

void MergedTree::apply(Tree layer) {
  // Not by one growth after the other, each of which moves all.
  const std::size_t inodes = tree_.inodes.size() + layer.inodes.size();
  if (inodes > tree_.inodes.capacity()) tree_.inodes.reserve(std::max(inodes, 2 * tree_.inodes.capacity()));
  LayerApplication(*this, std::move(layer)).run();
  ++layers_;
}

void MergedTree::lay(Tree tree) {
  const std::uint32_t layers = std::exchange(layers_, k_no_layer);
  LayerApplication(*this, std::move(tree)).run();
  layers_ = layers;
}

void MergedTree::put(std::string_view path, Inode inode) {
  std::vector<std::string> rest = reversed_components(path);
  InodeIndex directory = k_root;
  for (; rest.size() > 1; rest.pop_back()) {
    auto& children = tree_.directory(directory).children;
    const auto known = children.find(rest.back());
    const bool is_ours =
        known != children.end() && is_directory(tree_.inodes[known->second]) && origins_[known->second] == k_no_layer;
    if (is_ours) {
      directory = known->second;
      continue;
    }
    const InodeIndex created = add_plain_directory(directory);
    origins_[created] = k_no_layer;
    tree_.directory(directory).children.insert_or_assign(rest.back(), created);
    directory = created;
  }
  if (rest.empty()) throw Error("cannot put a file at /");
  const InodeIndex index = add(std::move(inode), directory);
  origins_[index] = k_no_layer;
  tree_.directory(directory).children.insert_or_assign(rest.back(), index);
}

}  // namespace mlctr::squashfs
