#include "sample_image.hpp"

#include <fmt/format.h>

#include <map>

namespace mlctr::test {
namespace {

using namespace squashfs;

std::string detail_of(const InodeKind& kind) {
  if (const auto* directory = std::get_if<Directory>(&kind)) {
    return fmt::format("directory{}{}", directory->is_opaque ? " opaque" : "",
                       directory->origin == DirectoryOrigin::implied ? " implied" : "");
  }
  if (const auto* file = std::get_if<FileContent>(&kind)) return fmt::format("file {}", file->size_bytes);
  if (const auto* symlink = std::get_if<Symlink>(&kind)) return "symlink " + symlink->target;
  if (const auto* device = std::get_if<Device>(&kind)) {
    return fmt::format("{} {}:{}", device->kind == DeviceKind::block ? "block" : "character", device->major,
                       device->minor);
  }
  if (const auto* link = std::get_if<LowerLink>(&kind)) return "link " + link->target;
  if (std::holds_alternative<Whiteout>(kind)) return "whiteout";
  return std::holds_alternative<Fifo>(kind) ? "fifo" : "socket";
}

class Lister {
 public:
  explicit Lister(const Tree& tree) : tree_(tree) {}

  std::string list(InodeIndex index, const std::string& path) {
    const Inode& inode = tree_.inodes[index];
    std::string lines = fmt::format("{} {} {:o} {}:{} {}", path.empty() ? "/" : path, detail_of(inode.kind),
                                    inode.permissions, inode.uid, inode.gid, inode.mtime);
    for (const auto& [name, value] : tree_.xattr_sets[inode.xattrs]) lines += fmt::format(" {}={}", name, value);
    const auto [first, is_new] = first_names_.try_emplace(index, path);
    lines += is_new ? "\n" : fmt::format(" = {}\n", first->second);
    if (!is_new) return lines;
    if (const auto* directory = std::get_if<Directory>(&inode.kind)) {
      for (const auto& [name, child] : directory->children) lines += list(child, path + "/" + name);
    }
    return lines;
  }

 private:
  const Tree& tree_;
  std::map<InodeIndex, std::string> first_names_;
};

}  // namespace

std::string listing_of(const Tree& tree) {
  return Lister(tree).list(k_root, "");
}

}  // namespace mlctr::test
