// The machine as the hooks see it: /proc, /sys, /dev, /etc and the libraries below one root, which tests replace by a
// tree of their own. Looks only; links are followed as if that root were "/" (openat2(2), RESOLVE_IN_ROOT), so that a
// driver's own root (/run/nvidia/driver) can be looked at in the same way.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::hooks {

enum class HostFileKind { regular, directory, character_device, socket, other };

struct HostFile {
  std::filesystem::path path;  ///< where it really is, below the root and links followed: what a mount's source is
  HostFileKind kind = HostFileKind::other;
  std::uint64_t size_bytes = 0;
  dev_t number = 0;  ///< of a device
  uid_t owner = 0;
  mode_t mode = 0;
};

class HostView {
 public:
  explicit HostView(std::filesystem::path root = "/");

  /// The machine; the tree that MLCTR_HOST_ROOT names instead, for tests: only what is planned changes, and a plan can
  /// bind nothing that its user could not bind with --mount.
  static HostView of_machine();

  /// The same machine from a directory of it down: a driver's own root, or where its /dev is. Throws Error.
  HostView below(const std::filesystem::path& directory) const;

  const std::filesystem::path& root() const noexcept { return root_; }

  /// Absent where there is nothing (or nothing that may be seen). `path` is absolute, as in "/proc/driver".
  std::optional<HostFile> find(const std::filesystem::path& path) const;

  bool has(const std::filesystem::path& path) const { return find(path).has_value(); }

  /// A file's content; empty where it can't be read or is larger.
  std::string read(const std::filesystem::path& path, std::uint64_t max_bytes = 1u << 20) const;

  /// A regular file to read; absent where it can't be.
  std::optional<Fd> open(const std::filesystem::path& path) const;

  /// The names in a directory, sorted, numbers in them as numbers: nvidia2 before nvidia10. Empty where it can't be
  /// read.
  std::vector<std::string> list(const std::filesystem::path& path) const;

  /// Where a link leads, as it stands there ("../../card0"); absent where there is none.
  std::optional<std::string> link_target(const std::filesystem::path& path) const;

  /// Whether this process may read and write it: a device cgroup that forbids a node says so in access(2) too.
  bool may_use(const std::filesystem::path& path) const;

 private:
  Fd resolve(const std::filesystem::path& path, int flags) const;

  std::filesystem::path root_;
  Fd fd_;
};

/// "nvidia2" < "nvidia10".
bool is_before_by_number(std::string_view left, std::string_view right);

}  // namespace mlctr::hooks
