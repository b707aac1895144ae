// A file being written that has no name yet (open(2), O_TMPFILE): whatever ends the process, SIGKILL included, leaves
// nothing behind. Filesystems without such files (NFS, many FUSE ones) get a hidden name, removed by the destructor, or
// by the next who writes there.
#pragma once

#include <filesystem>
#include <optional>

#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr {

class UnnamedFile {
 public:
  /// In `directory`, since a file can't change filesystems; open for reading and writing.
  explicit UnnamedFile(const std::filesystem::path& directory);

  int fd() const noexcept { return named_ ? named_->fd() : fd_.get(); }

  /// Gives it a name in one step, where nothing has that name; false where something does. Not synced. Call this or
  /// replace(), once.
  [[nodiscard]] bool link(const std::filesystem::path& path);
  /// Whatever has the name gives way to it.
  void replace(const std::filesystem::path& path);

 private:
  Fd fd_;
  std::optional<TemporaryFile> named_;
};

}  // namespace mlctr
