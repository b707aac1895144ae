#include "build/step_layer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unnamed_file.hpp"
#include "squashfs/layer_tar.hpp"
#include "squashfs/merge_tree.hpp"
#include "squashfs/pack_layer.hpp"
#include "squashfs/tables.hpp"
#include "squashfs/upper_layer.hpp"
#include "store/sharing.hpp"

namespace mlctr::build {
namespace {

using squashfs::Directory;
using squashfs::FileContent;
using squashfs::Inode;
using squashfs::InodeIndex;
using squashfs::Tree;

// Makes of an upper directory's tree what the step is to have changed.
class Normalisation {
 public:
  Normalisation(Tree& tree, const Tree& below, const StepChanges& changes)
      : tree_(tree), below_(below), changes_(changes) {}

  // Whether anything is left.
  bool run() {
    visit_directory(squashfs::k_root, &below_.inodes[squashfs::k_root], "");
    Inode& root = tree_.inodes[squashfs::k_root];
    root.permissions = below_.inodes[squashfs::k_root].permissions;
    root.mtime = below_.inodes[squashfs::k_root].mtime;
    std::get<Directory>(root.kind).origin = squashfs::DirectoryOrigin::implied;
    return !std::get<Directory>(root.kind).children.empty();
  }

 private:
  void visit_directory(InodeIndex index, const Inode* below, const std::string& path) {
    for (auto child = children(index).begin(); child != children(index).end();) {
      const std::string child_path = path + "/" + child->first;
      const InodeIndex inode = child->second;
      const Inode* lower = below == nullptr ? nullptr : find(*below, child->first);
      if (std::holds_alternative<Directory>(tree_.inodes[inode].kind)) visit_directory(inode, lower, child_path);
      if (is_unchanged(tree_.inodes[inode], lower, child_path)) {
        child = children(index).erase(child);
      } else {
        settle(inode, child_path);
        ++child;
      }
    }
  }

  std::map<std::string, InodeIndex, std::less<>>& children(InodeIndex index) { return tree_.directory(index).children; }

  const Inode* find(const Inode& directory, const std::string& name) const {
    const auto* kind = std::get_if<Directory>(&directory.kind);
    if (kind == nullptr) return nullptr;
    const auto found = kind->children.find(name);
    return found == kind->children.end() ? nullptr : &below_.inodes[found->second];
  }

  bool is_unchanged(const Inode& inode, const Inode* lower, const std::string& path) const {
    if (changes_.owners.contains(path)) return false;
    const auto* directory = std::get_if<Directory>(&inode.kind);
    if (directory != nullptr && !directory->children.empty()) return false;
    if (lower == nullptr) {
      const auto* file = std::get_if<FileContent>(&inode.kind);
      return changes_.stubs.contains(path) && (directory != nullptr || (file != nullptr && file->size_bytes == 0));
    }
    return directory != nullptr && !directory->is_opaque && std::holds_alternative<Directory>(lower->kind) &&
           lower->permissions == inode.permissions && inode.xattrs == 0;
  }

  // A file of several names once.
  void settle(InodeIndex index, const std::string& path) {
    Inode& inode = tree_.inodes[index];
    if (const auto owner = changes_.owners.find(path); owner != changes_.owners.end()) {
      inode.uid = owner->second.uid;
      inode.gid = owner->second.gid;
    }
    if (std::holds_alternative<squashfs::Whiteout>(inode.kind)) {
      inode.mtime = 0;
      return;
    }
    inode.mtime = changes_.times == FileTimes::fixed ? changes_.time : std::min(inode.mtime, changes_.time);
  }

  Tree& tree_;
  const Tree& below_;
  const StepChanges& changes_;
};

}  // namespace

std::optional<BuiltLayer> make_step_layer(const StepChanges& changes, const Tree& below, Store& store,
                                          const squashfs::PackOptions& options, const std::stop_token& stop) {
  UnnamedFile file(store.root() / "tmp");
  squashfs::CompressorPool pool(options.threads, options.compression_level);
  squashfs::PackedLayer packed = squashfs::pack_upper({open_file(changes.upper, O_RDONLY | O_DIRECTORY), changes.upper},
                                                      below, file.fd(), pool, options.limits, stop);
  if (!Normalisation(packed.tree, below, changes).run()) return std::nullopt;
  if (::ftruncate(file.fd(), static_cast<off_t>(packed.data_end)) != 0) throw SysError("cannot set a layer's size");
  squashfs::write_tables(packed.tree, file.fd(), packed.data_end);

  const squashfs::Reader layer(file.fd(), "the step's layer");
  const squashfs::LayerTarSummary summary = squashfs::summarize_layer_tar(layer, stop);
  const Lock lock = store.lock_layer(summary.diff_id, stop, {});
  if (!store.touch_layer(summary.diff_id)) {
    sync_file(file.fd(), "the step's layer");
    share_with_group(file.fd(), store.root() / "tmp");
    file.replace(store.layer_path(summary.diff_id));
    sync_directory(store.layer_path(summary.diff_id).parent_path());
  }
  return BuiltLayer{summary.diff_id, summary.bytes};
}

}  // namespace mlctr::build
