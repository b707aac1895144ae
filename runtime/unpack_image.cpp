#include "runtime/unpack_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/content_writers.hpp"
#include "runtime/image_xattrs.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;

// Longer ones could not be opened, nor removed, by a path; some bytes are left for the directory's own.
constexpr std::size_t k_longest_path = PATH_MAX - 512;

[[noreturn]] void refuse(std::string_view action, std::string_view path) {
  SysError error(fmt::format("cannot {} {}", action, printable(path, 4096)));
  if (is_disk_full(error.errno_value()))
    error.add_hint("`mlctr gc` may free some; MLCTR_CONTAINERS chooses another place");
  throw error;
}

timespec time_of(const StoredInode& inode) {
  return {.tv_sec = inode.mtime, .tv_nsec = 0};
}

// A file of the user's that runs with the user's rights, whoever starts it: not for an image to make.
mode_t mode_of_file(const StoredInode& inode) {
  return inode.permissions & (S_ISVTX | S_IRWXU | S_IRWXG | S_IRWXO);
}

void set_time(int directory, const std::string& name, const StoredInode& inode) {
  const std::array times{time_of(inode), time_of(inode)};
  ::utimensat(directory, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
}

// One entry to be made.
struct Place {
  int directory;
  const std::string& name;
  const std::string& path;  // from the root of the tree
};

class Unpacking {
 public:
  Unpacking(const Reader& image, const Fd& root, unsigned threads)
      : image_(image), root_(root.get()), xattrs_(image), writers_(image, threads) {}

  void run() {
    const StoredInode root = image_.root();
    const auto* directory = std::get_if<StoredDirectory>(&root.kind);
    if (directory == nullptr) image_.image().refuse("its root is no directory");
    fill(root_, MetadataPosition::of(image_.superblock().root_inode), root, *directory, "");
    writers_.finish();
  }

 private:
  // Its own mode comes last: it may forbid what is done here.
  void fill(int fd, MetadataPosition position, const StoredInode& inode, const StoredDirectory& directory,
            const std::string& path) {
    if (!directories_.insert(position.reference()).second) image_.image().refuse("a directory in it has two places");
    DirectoryCursor entries(image_, directory);
    while (const auto entry = entries.next()) {
      const std::string child = path.empty() ? entry->name : path + "/" + entry->name;
      if (child.size() > k_longest_path) image_.image().refuse("its directories are nested too deeply to be unpacked");
      make(*entry, {fd, entry->name, child});
    }
    copy_xattrs(fd, inode);
    const std::array times{time_of(inode), time_of(inode)};
    if (::fchmod(fd, inode.permissions & 07777) != 0 || ::futimens(fd, times.data()) != 0) {
      refuse("set mode and time of", path);
    }
  }

  void make(const StoredEntry& entry, const Place& place) {
    const StoredInode inode = image_.inode(entry.inode);
    const bool has_more_names = inode.links > 1 && !std::holds_alternative<StoredDirectory>(inode.kind);
    if (has_more_names) {
      const auto [first, is_first] = names_.try_emplace(entry.inode.reference(), place.path);
      if (!is_first) return link(first->second, place);
    }
    if (const auto* file = std::get_if<StoredFile>(&inode.kind)) return make_file(entry, inode, *file, place);
    if (const auto* directory = std::get_if<StoredDirectory>(&inode.kind)) {
      return make_directory(entry, inode, *directory, place);
    }
    if (const auto* symlink = std::get_if<Symlink>(&inode.kind)) {
      if (::symlinkat(symlink->target.c_str(), place.directory, place.name.c_str()) != 0) refuse("make", place.path);
    } else if (!make_node(inode, place)) {
      names_.erase(entry.inode.reference());
      return;
    }
    set_time(place.directory, place.name, inode);
  }

  // Every directory on the way to `first` is one we made, in a tree that is ours alone: no link is on it.
  void link(const std::string& first, const Place& place) const {
    if (::linkat(root_, first.c_str(), place.directory, place.name.c_str(), 0) != 0) refuse("make", place.path);
  }

  void make_file(const StoredEntry& entry, const StoredInode& inode, const StoredFile& content, const Place& place) {
    Fd fd(::openat(place.directory, place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) refuse("make", place.path);
    copy_xattrs(fd.get(), inode);
    writers_.add({.fd = std::move(fd),
                  .inode = entry.inode,
                  .content = content,
                  .mode = mode_of_file(inode),
                  .mtime = time_of(inode),
                  .path = printable(place.path, 4096)});
  }

  void make_directory(const StoredEntry& entry, const StoredInode& inode, const StoredDirectory& directory,
                      const Place& place) {
    if (::mkdirat(place.directory, place.name.c_str(), 0700) != 0) refuse("make", place.path);
    const Fd fd(::openat(place.directory, place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) refuse("open", place.path);
    fill(fd.get(), entry.inode, inode, directory, place.path);
  }

  // FIFOs and sockets; false for devices, which are not for users to make.
  static bool make_node(const StoredInode& inode, const Place& place) {
    const mode_t type = std::holds_alternative<Fifo>(inode.kind) ? S_IFIFO : S_IFSOCK;
    if (std::holds_alternative<Device>(inode.kind)) return false;
    if (::mknodat(place.directory, place.name.c_str(), type | 0600, 0) != 0 ||
        ::fchmodat(place.directory, place.name.c_str(), mode_of_file(inode), 0) != 0) {
      refuse("make", place.path);
    }
    return true;
  }

  void copy_xattrs(int fd, const StoredInode& inode) const {
    if (inode.xattrs == k_no_xattrs) return;
    for (const auto& [name, value] : xattrs_.of(inode.xattrs)) {
      ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);  // what the filesystem doesn't take, we do without
    }
  }

  const Reader& image_;
  int root_;
  ImageXattrs xattrs_;
  std::unordered_set<std::uint64_t> directories_;         // by the inode's place: a hostile one may contain itself
  std::unordered_map<std::uint64_t, std::string> names_;  // the first of several, by the inode's place
  ContentWriters writers_;                                // last: its threads end first
};

}  // namespace

void unpack_image(const Reader& image, const Fd& directory, unsigned threads) {
  try {
    Unpacking(image, directory, threads).run();
  } catch (Error& error) {
    error.add_context(fmt::format("cannot unpack {}", image.image().name()));
    throw;
  }
}

}  // namespace mlctr::runtime
