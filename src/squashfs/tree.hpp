// The tree of a squashfs image in memory: what a layer conversion builds, a merge combines and the table writer writes.
// File data stays in files; a tree only says where its blocks lie. About 250 bytes an entry.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mlctr::squashfs {

using InodeIndex = std::uint32_t;
inline constexpr InodeIndex k_root = 0;
inline constexpr std::uint32_t k_no_fragment = 0xffffffff;  // squashfs's own value
inline constexpr std::uint32_t k_block_bytes = 128u << 10;  // DESIGN decision 4
inline constexpr std::uint32_t k_raw_block = 1u << 24;      // set in a block's size word: stored uncompressed

/// Where a directory came from, which decides how a layer's directory meets what lies below it.
enum class DirectoryOrigin {
  listed,   ///< the layer has an entry for it: its attributes win, and it replaces a non-directory below
  implied,  ///< only entries inside it: attributes below win, and a symlink below is followed (as umoci does)
};

struct Directory {
  std::map<std::string, InodeIndex, std::less<>> children{};  ///< names are bytes, any but '/' and NUL; never "." or ".."
  DirectoryOrigin origin = DirectoryOrigin::listed;
  bool is_opaque = false;  ///< hides what lower layers have here
};

/// A regular file's content, as squashfs keeps it. Offsets count from the start of the image file.
struct FileContent {
  std::uint64_t size_bytes = 0;
  std::uint64_t start = 0;                 ///< offset of the first data block; 0 where there is none
  std::vector<std::uint32_t> block_words{};  ///< stored size of each block, | k_raw_block where uncompressed; 0: a hole
  std::uint32_t fragment = k_no_fragment;  ///< index into the fragment table
  std::uint32_t fragment_offset = 0;       ///< of this file's tail inside the uncompressed fragment block
  std::uint64_t hole_bytes = 0;            ///< how much of the file is holes ("sparse" in the extended inode)
};

struct Symlink {
  std::string target;
};

enum class DeviceKind { character, block };
struct Device {
  DeviceKind kind;
  std::uint32_t major, minor;
};
struct Fifo {};
struct Socket {};

/// Layer files only: removes what lower layers have under this name. On disk: character device 0/0, as overlayfs has it.
struct Whiteout {};

/// Layer files only: a hard link to a path that this layer does not have; the merge resolves it.
struct LowerLink {
  std::string target;  ///< without a leading '/', no ".."
};

using InodeKind = std::variant<Directory, FileContent, Symlink, Device, Fifo, Socket, Whiteout, LowerLink>;

struct Inode {
  InodeKind kind;
  std::uint16_t permissions = 0755;  ///< the low 12 bits of a mode
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;           ///< seconds; squashfs has 32 unsigned bits, so times outside are clamped
  std::uint32_t xattrs = 0;          ///< index into Tree::xattr_sets; 0 is the empty set
};

/// Extended attributes, full names ("security.capability"), sorted by name.
using XattrSet = std::vector<std::pair<std::string, std::string>>;

/// A fragment block in the image file.
struct FragmentBlock {
  std::uint64_t start = 0;
  std::uint32_t size_word = 0;  ///< as in FileContent::block_words
};

/// Directory entries point to inodes by index; two entries with one index are hard links. Inodes no entry reaches are
/// simply not written, so removing is forgetting.
class Tree {
 public:
  Tree();

  std::vector<Inode> inodes;            ///< [k_root] is the root directory
  std::vector<XattrSet> xattr_sets;     ///< [0] is empty; add with xattr_index()
  std::vector<FragmentBlock> fragments;

  InodeIndex add(Inode inode);
  Inode& root() { return inodes[k_root]; }
  Directory& directory(InodeIndex index) { return std::get<Directory>(inodes[index].kind); }
  const Directory& directory(InodeIndex index) const { return std::get<Directory>(inodes[index].kind); }

  /// The index of an equal set, added if it is new. Sort `set` first.
  std::uint32_t xattr_index(XattrSet set);

 private:
  std::map<XattrSet, std::uint32_t> known_xattrs_;
};

}  // namespace mlctr::squashfs
