// What a layer's entries, applied in order, make of its tree: duplicates, hard links, symlinked parents, whiteouts.
// As umoci 0.4.7 unpacks one layer over others, but without those others: what needs them is left as a mark for the
// merge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "squashfs/layer_path.hpp"
#include "squashfs/tar_reader.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

class LayerTree {
 public:
  /// At most `max_entries` entries and directories implied by them.
  explicit LayerTree(std::uint64_t max_entries);

  /// Applies one entry. Returns the file whose content follows, to be given to set_content(); nullopt where there is
  /// none or it counts for nothing. Throws LayerError that quotes the entry, LayerLimitError.
  std::optional<InodeIndex> apply(const TarEntry& entry);

  void set_content(InodeIndex file, FileContent content);
  FileContent& content(InodeIndex file) { return std::get<FileContent>(tree_.inodes[file].kind); }

  Tree& tree() noexcept { return tree_; }

 private:
  // How far a walk came: the names from the root, and the directory unless it is not in this layer.
  struct Step {
    InodeIndex directory;
    std::string name;
  };
  using Walk = std::vector<Step>;
  enum class Missing { create, pass };

  std::optional<InodeIndex> place(const TarEntry& entry, const LayerPath& path);
  Inode make_inode(const TarEntry& entry);
  std::uint32_t xattrs_of(const TarEntry& entry);

  InodeIndex parent_of(const TarEntry& entry, const LayerPath& path);
  // Goes to the directory of the path's last name, through symlinks inside the root.
  Walk walk(const LayerPath& path, Missing missing);
  void enter(Walk& walked, const std::string& name, Missing missing, std::vector<std::string>& pending);
  InodeIndex child_of(InodeIndex parent, std::string_view name) const;
  InodeIndex make_implied(InodeIndex parent, std::string_view name);

  void set_root(const TarEntry& entry);
  InodeIndex put(InodeIndex parent, std::string_view name, Inode inode);
  void put_link(InodeIndex parent, std::string_view name, InodeIndex target);
  void hide(InodeIndex parent, std::string_view name);
  std::optional<InodeIndex> link(const TarEntry& entry, InodeIndex parent, std::string_view name);
  void count_entry(std::size_t text_bytes);

  Tree tree_;
  std::uint64_t max_entries_;
  std::uint64_t entries_ = 0;
  std::uint64_t text_bytes_ = 0;    // names, targets and xattrs: what an entry may be large by
  unsigned symlinks_followed_ = 0;  // by the walk at hand

  // The parent of the entry before: tars list a directory's files one after the other.
  std::string last_parent_path_;
  std::optional<InodeIndex> last_parent_;
};

}  // namespace mlctr::squashfs
