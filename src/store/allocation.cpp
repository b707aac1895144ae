#include "store/allocation.hpp"

#include <map>

namespace mlctr {

std::uint64_t allocated_bytes(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

std::uint64_t Allocation::add(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return 0;
  const bool is_directory = S_ISDIR(status.st_mode);
  // Every directory has several links, but no second name.
  if (!is_directory && status.st_nlink > 1 && !counted_.insert({status.st_dev, status.st_ino}).second) return 0;
  std::uint64_t bytes = allocated_bytes(status);
  if (!is_directory) return bytes;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    bytes += add(it->path());
  }
  return bytes;
}

std::uint64_t allocated_bytes_below(const std::filesystem::path& path) {
  return Allocation().add(path);
}

namespace {

struct NamedFile {
  std::uint64_t bytes = 0;
  nlink_t names_left = 0;
};

std::uint64_t add_freed(const std::filesystem::path& path, std::map<std::pair<dev_t, ino_t>, NamedFile>& shared) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return 0;
  if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
    NamedFile& file = shared[{status.st_dev, status.st_ino}];
    if (file.names_left == 0) file = {allocated_bytes(status), status.st_nlink};
    return --file.names_left == 0 ? file.bytes : 0;
  }
  std::uint64_t bytes = allocated_bytes(status);
  std::error_code error;
  if (!S_ISDIR(status.st_mode)) return bytes;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    bytes += add_freed(it->path(), shared);
  }
  return bytes;
}

}  // namespace

std::uint64_t freed_bytes_below(const std::filesystem::path& path) {
  std::map<std::pair<dev_t, ino_t>, NamedFile> shared;
  return add_freed(path, shared);
}

}  // namespace mlctr
