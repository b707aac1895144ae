#include <fmt/format.h>

#include <unordered_map>

#include "base/error.hpp"
#include "squashfs/layer_marks.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/tables.hpp"

namespace mlctr::squashfs {
namespace {

// Enough for the metadata that a walk in any order keeps coming back to.
constexpr std::size_t k_cached_blocks = 8192;

// How much the tables may say, compared with the bytes they take: compressed metadata and lists that share bytes would
// otherwise let a small file claim any amount of memory. Real tables compress to a tenth at most.
constexpr std::uint64_t k_expansion = 64;
constexpr std::uint64_t k_small_record_bytes = 4u << 20;
constexpr std::uint64_t k_small_block_list_bytes = 64u << 20;  // holes of a sparse file compress to nearly nothing

class Budget {
 public:
  Budget(const ImageFile& image, std::uint64_t bytes) : image_(image), left_(bytes) {}

  void spend(std::uint64_t bytes) {
    if (bytes > left_) image_.refuse("its tables claim more than they can hold");
    left_ -= bytes;
  }

 private:
  const ImageFile& image_;
  std::uint64_t left_;
};

std::uint64_t table_bytes(const Superblock& s) {
  return (s.bytes_used - s.inode_table) * k_expansion;
}

class TreeReader {
 public:
  explicit TreeReader(const Reader& reader)
      : reader_(reader),
        records_(reader.image(), k_small_record_bytes + table_bytes(reader.superblock())),
        block_lists_(reader.image(), k_small_block_list_bytes + table_bytes(reader.superblock())) {
    known_.reserve(std::min<std::size_t>(reader.superblock().inode_count, k_reserved_inodes));
  }

  Tree read() {
    read_fragments();
    const MetadataPosition root = MetadataPosition::of(reader_.superblock().root_inode);
    StoredInode inode = reader_.inode(root);
    known_.emplace(root.reference(), k_root);
    open(k_root, std::get<StoredDirectory>(inode.kind));
    tree_.root() = decode(std::move(inode));
    while (!open_.empty()) read_entry();
    return std::move(tree_);
  }

 private:
  static constexpr std::size_t k_reserved_inodes = 1u << 20;

  struct OpenDirectory {
    InodeIndex index;
    DirectoryCursor cursor;
  };

  void read_fragments() {
    const std::uint32_t count = reader_.superblock().fragment_count;
    records_.spend(std::uint64_t{count} * k_fragment_entry_bytes);
    tree_.fragments.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) tree_.fragments.push_back(reader_.fragment(i));
  }

  void open(InodeIndex index, const StoredDirectory& directory) {
    records_.spend(directory.size_bytes);
    open_.push_back({index, DirectoryCursor(reader_, directory)});
  }

  void read_entry() {
    OpenDirectory& directory = open_.back();
    std::optional<StoredEntry> entry = directory.cursor.next();
    if (!entry) {
      open_.pop_back();
      return;
    }
    const InodeIndex parent = directory.index;
    const InodeIndex child = read_child(*entry);
    auto& children = tree_.directory(parent).children;
    children.emplace_hint(children.end(), std::move(entry->name), child);
  }

  // Opens the child too, where it is a directory.
  InodeIndex read_child(const StoredEntry& entry) {
    const auto [known, is_new] = known_.try_emplace(entry.inode.reference(), InodeIndex{0});
    if (!is_new) {
      if (std::holds_alternative<Directory>(tree_.inodes[known->second].kind)) {
        reader_.image().refuse("a directory in it has two places");
      }
      return known->second;
    }
    if (known_.size() > reader_.superblock().inode_count) {
      reader_.image().refuse("it has more inodes than its superblock says");
    }
    StoredInode stored = reader_.inode(entry.inode);
    const auto directory = std::get_if<StoredDirectory>(&stored.kind);
    const std::optional<StoredDirectory> to_open = directory != nullptr ? std::optional(*directory) : std::nullopt;
    const InodeIndex index = tree_.add(decode(std::move(stored)));
    known->second = index;
    if (to_open) open(index, *to_open);
    return index;
  }

  Inode decode(StoredInode&& stored) {
    Inode inode{
        .kind = Fifo{}, .permissions = stored.permissions, .uid = stored.uid, .gid = stored.gid, .mtime = stored.mtime};
    const XattrNumbers xattrs = read_xattrs(stored.xattrs);
    inode.xattrs = xattrs.in_tree;
    if (std::holds_alternative<StoredDirectory>(stored.kind)) {
      inode.kind = Directory{.origin = xattrs.is_implied ? DirectoryOrigin::implied : DirectoryOrigin::listed,
                             .is_opaque = xattrs.is_opaque};
    } else if (const auto* file = std::get_if<StoredFile>(&stored.kind)) {
      block_lists_.spend(std::uint64_t{file->block_count} * sizeof(std::uint32_t));
      if (xattrs.link_target && file->size_bytes == 0) {
        inode.kind = LowerLink{*xattrs.link_target};
      } else {
        inode.kind = reader_.content(*file);
      }
    } else if (auto* link = std::get_if<Symlink>(&stored.kind)) {
      inode.kind = std::move(*link);
    } else if (const auto* device = std::get_if<Device>(&stored.kind)) {
      const bool is_whiteout = device->kind == DeviceKind::character && device->major == 0 && device->minor == 0;
      if (is_whiteout) {
        inode.kind = Whiteout{};
      } else {
        inode.kind = *device;
      }
    } else if (std::holds_alternative<Socket>(stored.kind)) {
      inode.kind = Socket{};
    }
    return inode;
  }

  // A set of the image as the tree has it, the marks of a layer taken out.
  struct XattrNumbers {
    std::uint32_t in_tree = 0;
    bool is_opaque = false;
    bool is_implied = false;
    std::optional<std::string> link_target;
  };

  const XattrNumbers& read_xattrs(std::uint32_t number) {
    const auto [known, is_new] = xattrs_.try_emplace(number);
    if (!is_new || number == k_no_xattrs) return known->second;
    XattrNumbers& found = known->second;
    XattrSet rest;
    for (auto& [name, value] : reader_.xattrs(number)) {
      records_.spend(name.size() + value.size());
      if (name == k_opaque_xattr) {
        found.is_opaque = value == k_mark_is_set;
      } else if (name == k_implied_xattr) {
        found.is_implied = value == k_mark_is_set;
      } else if (name == k_link_xattr) {
        found.link_target = std::move(value);
      } else {
        rest.emplace_back(std::move(name), std::move(value));
      }
    }
    found.in_tree = tree_.xattr_index(std::move(rest));
    return found;
  }

  const Reader& reader_;
  Budget records_;
  Budget block_lists_;
  Tree tree_;
  std::unordered_map<std::uint64_t, InodeIndex> known_;  // by the position of the inode: numbers may lie
  std::unordered_map<std::uint32_t, XattrNumbers> xattrs_;
  std::vector<OpenDirectory> open_;
};

}  // namespace

Tree read_tree(int file, const std::filesystem::path& name, std::uint64_t offset) {
  return read_tree(Reader(file, name, offset, k_cached_blocks));
}

Tree read_tree(const Reader& reader) {
  return TreeReader(reader).read();
}

}  // namespace mlctr::squashfs
