// The root directory of a container, from outside: every path in it is hostile, so each is resolved by the kernel with
// the rootfs as its root (openat2(2), RESOLVE_IN_ROOT) and used by descriptor. No symlink of an image leads out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace mlctr::runtime {

enum class NodeKind { directory, file };

class Rootfs {
 public:
  /// `root`: the directory, O_PATH or opened for reading.
  explicit Rootfs(Fd root) : root_(std::move(root)) {}

  int fd() const noexcept { return root_.get(); }

  /// open(2) inside; absent where there is nothing at `path` (ENOENT, ENOTDIR, a dangling or looping link). Throws
  /// SysError otherwise.
  std::optional<Fd> find(std::string_view path, int flags) const;

  /// What is at `path`, made with missing parents (0755, an empty file 0644) where there is nothing; a dangling symlink
  /// is followed and its target made. The descriptor is O_PATH. Throws Error where the other kind is there.
  Fd make(std::string_view path, NodeKind kind) const;

  /// Makes the target and mounts `tree` (open_tree(2), fsmount(2)) there.
  void attach(const Fd& tree, std::string_view path, NodeKind kind) const;

  /// A small regular file's content; absent where there is none, or it is no regular file, or larger than `max_bytes`.
  std::optional<std::string> read(std::string_view path, std::uint64_t max_bytes) const;

 private:
  Fd make_below(const std::string& path, NodeKind kind, int links_left) const;

  Fd root_;
};

}  // namespace mlctr::runtime
