#include "store/allocation.hpp"

#include <functional>
#include <map>

namespace mlctr {
namespace {

// `count_named` says what counts of a file with several names. What goes away meanwhile counts nothing.
std::uint64_t add_tree(const std::filesystem::path& path,
                       const std::function<std::uint64_t(const struct stat&)>& count_named) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return 0;
  const bool is_directory = S_ISDIR(status.st_mode);
  // Every directory has several links, but no second name.
  if (!is_directory && status.st_nlink > 1) return count_named(status);
  std::uint64_t bytes = allocated_bytes(status);
  if (!is_directory) return bytes;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    bytes += add_tree(it->path(), count_named);
  }
  return bytes;
}

}  // namespace

std::uint64_t allocated_bytes(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

std::uint64_t Allocation::add(const std::filesystem::path& path) {
  return add_tree(path, [this](const struct stat& status) -> std::uint64_t {
    return counted_.insert({status.st_dev, status.st_ino}).second ? allocated_bytes(status) : 0;
  });
}

std::uint64_t allocated_bytes_below(const std::filesystem::path& path) {
  return Allocation().add(path);
}

std::uint64_t freed_bytes_below(const std::filesystem::path& path) {
  std::map<std::pair<dev_t, ino_t>, nlink_t> seen;
  return add_tree(path, [&seen](const struct stat& status) -> std::uint64_t {
    return ++seen[{status.st_dev, status.st_ino}] == status.st_nlink ? allocated_bytes(status) : 0;
  });
}

}  // namespace mlctr
