#include "base/unnamed_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/leftovers.hpp"

namespace mlctr {
namespace {

constexpr mode_t k_mode = 0666;

constexpr const char* k_prefix = ".mlctr-";

// Of who was killed before, too: where a name is needed, one may have been left.
std::filesystem::path hidden_name(const std::filesystem::path& directory) {
  for (const auto& leftover : find_leftovers(directory, k_prefix)) ::unlink(leftover.c_str());
  return directory / leftover_name(k_prefix);
}

// False where there is a file of that name: a look before would leave a moment for someone else's. The temporary name
// may stay, for its owner to remove.
bool rename_without_replacing(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  // NFS and many FUSE filesystems know no such rename (EINVAL; ENOSYS before Linux 3.15), but links.
  if (errno != EINVAL && errno != ENOSYS) throw SysError(fmt::format("cannot write {}", to.string()));
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  // Neither: an empty file holds the name until the rename replaces it.
  const Fd claim(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, k_mode));
  if (!claim && errno == EEXIST) return false;
  if (!claim) throw SysError(fmt::format("cannot write {}", to.string()));
  rename_file(from, to);
  return true;
}

}  // namespace

UnnamedFile::UnnamedFile(const std::filesystem::path& directory)
    : fd_(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, k_mode)) {
  if (!fd_) named_.emplace(hidden_name(directory));
  hold_leftover(fd());
}

bool UnnamedFile::link(const std::filesystem::path& path) {
  if (named_) return rename_without_replacing(named_->path(), path);
  // By way of /proc: with the descriptor alone (AT_EMPTY_PATH), only root may (open(2), O_TMPFILE).
  const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  throw SysError(fmt::format("cannot write {}", path.string()));
}

void UnnamedFile::replace(const std::filesystem::path& path) {
  if (named_) return rename_file(named_->path(), path);
  const std::filesystem::path beside = hidden_name(path.parent_path());
  if (!link(beside)) throw SysError(fmt::format("cannot write {}", beside.string()), EEXIST);
  try {
    rename_file(beside, path);
  } catch (...) {
    ::unlink(beside.c_str());
    throw;
  }
}

}  // namespace mlctr
