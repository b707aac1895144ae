#include "app/settings_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_file_bytes = 1u << 20;

// Whoever can write to it can name a hostile mirror or a store of his own.
void check_trust(int fd, const std::filesystem::path& file, SettingsOrigin origin) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw SysError("cannot stat " + file.string());
  if (!S_ISREG(status.st_mode)) throw Error(file.string() + " is not a file");
  if ((status.st_mode & S_IWOTH) != 0) {
    throw Error("cannot trust the settings in " + file.string() + ": everyone may write to it",
                "look it through, then: chmod o-w " + file.string());
  }
  // Where the system's directory is, only the administrator writes.
  if (origin == SettingsOrigin::system || status.st_uid == 0 || status.st_uid == ::geteuid()) return;
  throw Error(fmt::format("cannot trust the settings in {}: it belongs to user {}", file.string(), status.st_uid),
              "make it your own, or set XDG_CONFIG_HOME");
}

}  // namespace

std::optional<std::string> read_settings_file(const std::filesystem::path& file, SettingsOrigin origin) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd) throw SysError("cannot open the settings " + file.string());
  check_trust(fd.get(), file, origin);
  std::string text(k_max_file_bytes + 1, '\0');
  text.resize(read_at(fd.get(), std::as_writable_bytes(std::span(text)), 0, file.string()));
  if (text.size() > k_max_file_bytes) throw Error(file.string() + " is larger than 1 MiB");
  return text;
}

}  // namespace mlctr
