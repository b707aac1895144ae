#include "base/leftovers.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_boot_digits = 8, k_random_digits = 16;
constexpr std::time_t k_unlocked_for_s = 2;  // between a file's making and its lock lie microseconds
constexpr std::time_t k_unknown_for_s = 24 * 3600;

const std::string& boot() {
  static const std::string digits = read_file_if_any("/proc/sys/kernel/random/boot_id", 256).substr(0, k_boot_digits);
  return digits;
}

enum class Holder { nobody, somebody, unknown };

Holder holder_of(const std::filesystem::path& path, std::string_view boot_in_name) {
  if (boot_in_name != boot()) return Holder::unknown;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return Holder::nobody;
  return fd && errno == EWOULDBLOCK ? Holder::somebody : Holder::unknown;
}

bool is_leftover(const std::filesystem::path& path, std::string_view boot_in_name) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || status.st_uid != ::geteuid()) return false;
  const std::time_t age = std::time(nullptr) - status.st_mtime;
  switch (holder_of(path, boot_in_name)) {
    case Holder::nobody:
      return age >= k_unlocked_for_s;
    case Holder::somebody:
      return false;
    case Holder::unknown:
      return age >= k_unknown_for_s;
  }
  return false;
}

}  // namespace

std::string leftover_name(std::string_view prefix) {
  return std::string(prefix) + boot() + "-" + random_suffix();
}

void hold_leftover(int fd) noexcept {
  ::flock(fd, LOCK_EX | LOCK_NB);  // refused where the filesystem has no locks: then its age tells
}

std::vector<std::filesystem::path> find_leftovers(const std::filesystem::path& directory, std::string_view prefix) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || name.size() != prefix.size() + k_boot_digits + 1 + k_random_digits) continue;
    if (is_leftover(it->path(), std::string_view(name).substr(prefix.size(), k_boot_digits)))
      found.push_back(it->path());
  }
  return found;
}

}  // namespace mlctr
