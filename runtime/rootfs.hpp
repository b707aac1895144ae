// The root directory of a container, from outside: every path in it is hostile, so each is resolved by the kernel with
// the rootfs as its root (openat2(2), RESOLVE_IN_ROOT) and used by descriptor. No symlink of an image leads out of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::runtime {

enum class NodeKind { directory, file };

/// Whose files a mount shows: made for the container, or the host's, which a link in an image must not lead changes to.
enum class MountOrigin { own, host };

/// Of what was just made in a directory of a container: where somebody has put a link in its place meanwhile, nothing
/// that the link leads to is changed. False with errno.
bool set_mode_of_made(int directory, const std::string& name, mode_t mode);

class Rootfs {
 public:
  /// `root`: the directory, O_PATH or opened for reading; the root of a mount.
  explicit Rootfs(Fd root);

  int fd() const noexcept { return root_.get(); }

  /// open(2) inside; absent where there is nothing at `path` (ENOENT, ENOTDIR, a dangling or looping link). Throws
  /// SysError otherwise.
  std::optional<Fd> find(std::string_view path, int flags) const;

  /// What is at `path`, made with missing parents (0755, an empty file 0644) where there is nothing; a dangling symlink
  /// is followed and its target made. The descriptor is O_PATH. Throws Error where the other kind is there, or where a
  /// link leads into a mount of the host's and something would have to be made there.
  Fd make(std::string_view path, NodeKind kind) const;

  /// Makes the target and mounts `tree` (open_tree(2), fsmount(2)) there.
  void attach(const Fd& tree, std::string_view path, NodeKind kind, MountOrigin origin);

  /// The directory at `path`, to write to; absent where there is none, or where it is a directory of the host's.
  std::optional<Fd> own_directory(std::string_view path) const;

  /// Where make() has made something in the rootfs itself, not in what is mounted there: "/etc/x", in their order.
  const std::vector<std::string>& made() const noexcept { return made_; }

  /// A small regular file's content; absent where there is none, or it is no regular file, or larger than `max_bytes`.
  std::optional<std::string> read(std::string_view path, std::uint64_t max_bytes) const;

 private:
  /// How a path came about: named by the user or the plan, or by a link in the image.
  enum class Trail { named, linked };
  Fd make_below(const std::string& path, NodeKind kind, Trail trail, int links_left) const;

  void note_made(const Fd& parent, const std::string& name) const;
  void check_may_make_in(const Fd& parent, const std::string& parent_path, Trail trail) const;

  Fd root_;
  std::set<std::uint64_t> own_mounts_;  // ids, statx(2)
  std::uint64_t root_mount_;
  mutable std::vector<std::string> made_;
};

}  // namespace mlctr::runtime
