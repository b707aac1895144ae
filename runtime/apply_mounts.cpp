#include "runtime/apply_mounts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/mount_tree.hpp"

namespace mlctr::runtime {
namespace {

NodeKind kind_of(const Fd& tree) {
  struct stat status;
  if (::fstat(tree.get(), &status) != 0) throw SysError("cannot look at a mount");
  return S_ISDIR(status.st_mode) ? NodeKind::directory : NodeKind::file;
}

// Absent where the plan can do without.
std::optional<OpenMount> open_bind(Mount mount, const BindMount& bind) {
  try {
    Fd tree = bind_tree(bind.source, mount.attributes,
                        mount.propagation != 0 ? mount.propagation : std::uint64_t{MS_PRIVATE});
    const NodeKind kind = kind_of(tree);
    return OpenMount{std::move(mount), std::move(tree), kind};
  } catch (const SysError&) {
    if (mount.if_missing == IfMissing::skip) return std::nullopt;
    throw;
  }
}

// Who asked for a mount learns of its failure by the line that asked.
template <class Action>
auto with_origin(const Mount& mount, Action action) {
  try {
    return action();
  } catch (Error& error) {
    if (!mount.origin.empty()) error.add_context(mount.origin);
    throw;
  }
}

std::pair<std::string, std::string> split_path(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// Puts one mount into place.
class Attach {
 public:
  Attach(const OpenMount& open, Rootfs& rootfs, int scratch) : open_(open), rootfs_(rootfs), scratch_(scratch) {}

  void operator()(const BindMount&) const { attach(open_.tree, open_.kind, MountOrigin::host); }
  void operator()(const SquashfsMount&) const { attach(open_.tree, NodeKind::directory, MountOrigin::host); }

  void operator()(const TmpfsMount& tmpfs) const {
    FilesystemOptions options{{"source", "tmpfs"}, {"mode", fmt::format("{:o}", tmpfs.mode)}};
    if (tmpfs.size_bytes != 0) options.emplace_back("size", fmt::format("{}", tmpfs.size_bytes));
    attach(new_filesystem("tmpfs", options, open_.mount.attributes), NodeKind::directory, MountOrigin::own);
  }

  void operator()(const KernelMount& kernel) const {
    attach(new_filesystem(kernel.filesystem, kernel.options, open_.mount.attributes), NodeKind::directory,
           MountOrigin::own);
  }

  void operator()(const FileMount& file) const {
    const std::string name = random_suffix();
    {
      const Fd made(::openat(scratch_, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      if (!made) throw SysError("cannot make a file of the container's");
      write_all(made.get(), std::as_bytes(std::span(file.content)), open_.mount.target);
    }
    const auto path = fmt::format("/proc/self/fd/{}/{}", scratch_, name);
    attach(bind_tree(path, open_.mount.attributes, MS_PRIVATE), NodeKind::file, MountOrigin::own);
  }

  void operator()(const LinkNode& link) const {
    const auto [directory, name] = split_path(open_.mount.target);
    const Fd parent = rootfs_.make(directory, NodeKind::directory);
    if (::symlinkat(link.target.c_str(), parent.get(), name.c_str()) != 0 && errno != EEXIST) {
      throw SysError(fmt::format("cannot make the link {} in the container", open_.mount.target));
    }
  }

  void operator()(const DirectoryNode& directory) const {
    const auto [parent_path, name] = split_path(open_.mount.target);
    const Fd parent = rootfs_.make(parent_path, NodeKind::directory);
    const bool is_made = ::mkdirat(parent.get(), name.c_str(), directory.mode) == 0;
    // Whatever the umask, the mode that was asked for.
    if (is_made ? !set_mode_of_made(parent.get(), name, directory.mode) : errno != EEXIST) {
      throw SysError(fmt::format("cannot make {} in the container", open_.mount.target));
    }
  }

  void operator()(const Unmount&) const {
    const Fd target = require(open_.mount.target);
    if (::umount2(fmt::format("/proc/self/fd/{}", target.get()).c_str(), MNT_DETACH) != 0) {
      throw SysError(fmt::format("cannot unmount {} in the container", printable(open_.mount.target, 4096)));
    }
  }

  void operator()(const ContainerTree& shown) const {
    // What is missing is made before it can be shown: a volume of an image may have no directory there.
    const Fd source = is_target_made() ? find_or_make(shown.path) : require(shown.path);
    Fd tree(::open_tree(source.get(), "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree)
      throw SysError(fmt::format("cannot take the mounts at {} in the container", printable(shown.path, 4096)));
    change_attributes(tree);
    const NodeKind kind = kind_of(tree);
    attach(tree, kind, MountOrigin::own);
  }

  void operator()(const MovedMount& moved) const {
    const Fd source = require(moved.path);
    change_attributes(source);
    attach(source, kind_of(source), MountOrigin::own);
  }

  void operator()(const ChangedMount&) const { change_attributes(require(open_.mount.target)); }

 private:
  bool is_target_made() const { return open_.mount.if_no_target == IfNoTarget::make; }

  Fd require(const std::string& path) const {
    if (auto found = rootfs_.find(path, O_PATH)) return std::move(*found);
    throw SysError(fmt::format("cannot find {} in the container", printable(path, 4096)), ENOENT);
  }

  Fd find_or_make(const std::string& path) const {
    if (auto found = rootfs_.find(path, O_PATH)) return std::move(*found);
    return rootfs_.make(path, NodeKind::directory);
  }

  void change_attributes(const Fd& mount) const {
    mount_attr change{};
    change.attr_set = open_.mount.attributes;
    change.propagation = open_.mount.propagation;
    if (::mount_setattr(mount.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
      throw SysError(
          fmt::format("cannot change the mount options of {} in the container", printable(open_.mount.target, 4096)));
    }
  }

  void attach(const Fd& tree, NodeKind kind, MountOrigin origin) const {
    if (!is_target_made()) require(open_.mount.target);
    rootfs_.attach(tree, open_.mount.target, kind, origin);
  }

  const OpenMount& open_;
  Rootfs& rootfs_;
  int scratch_;
};

}  // namespace

std::vector<std::filesystem::path> squashfs_files(const std::vector<Mount>& plan) {
  std::vector<std::filesystem::path> files;
  for (const Mount& mount : plan) {
    if (const auto* squashfs = std::get_if<SquashfsMount>(&mount.source)) files.push_back(squashfs->file);
  }
  return files;
}

std::vector<OpenMount> open_mounts(std::vector<Mount> plan, const std::function<Fd(std::size_t)>& mount_squashfs) {
  std::vector<OpenMount> open;
  std::size_t images = 0;
  for (Mount& mount : plan) {
    if (const auto* bind = std::get_if<BindMount>(&mount.source)) {
      if (auto opened = with_origin(mount, [&] { return open_bind(mount, *bind); })) open.push_back(std::move(*opened));
    } else if (std::holds_alternative<SquashfsMount>(mount.source)) {
      open.push_back({std::move(mount), mount_squashfs(++images), NodeKind::directory});
    } else {
      open.push_back({std::move(mount), Fd(), NodeKind::directory});
    }
  }
  return open;
}

void apply_mounts(const std::vector<OpenMount>& mounts, Rootfs& rootfs, int scratch) {
  for (const OpenMount& open : mounts) {
    try {
      with_origin(open.mount, [&] { std::visit(Attach(open, rootfs, scratch), open.mount.source); });
    } catch (const Error&) {
      if (open.mount.if_missing == IfMissing::fail) throw;
    }
  }
}

}  // namespace mlctr::runtime
