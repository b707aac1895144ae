#include "hooks/host_view.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/syscalls.hpp"

namespace mlctr::hooks {
namespace {

constexpr const char* k_root_variable = "MLCTR_HOST_ROOT";

HostFileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return HostFileKind::regular;
  if (S_ISDIR(mode)) return HostFileKind::directory;
  if (S_ISCHR(mode)) return HostFileKind::character_device;
  if (S_ISSOCK(mode)) return HostFileKind::socket;
  return HostFileKind::other;
}

std::string link_text(int directory, const char* path) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(directory, path, target.data(), target.size());
  target.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return target;
}

// Where a descriptor's file is by now.
std::filesystem::path path_of(const Fd& fd) {
  return link_text(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd.get()).c_str());
}

// Cuts the number off that `text` begins with; without leading zeros.
std::string_view take_number(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

}  // namespace

bool is_before_by_number(std::string_view left, std::string_view right) {
  const std::string_view whole_left = left, whole_right = right;
  while (!left.empty() && !right.empty()) {
    if (is_digit(left[0]) && is_digit(right[0])) {
      const std::string_view a = take_number(left), b = take_number(right);
      if (a != b) return a.size() != b.size() ? a.size() < b.size() : a < b;
    } else if (left[0] != right[0]) {
      return static_cast<unsigned char>(left[0]) < static_cast<unsigned char>(right[0]);
    } else {
      left.remove_prefix(1);
      right.remove_prefix(1);
    }
  }
  if (left.empty() != right.empty()) return left.empty();
  return whole_left < whole_right;
}

HostView::HostView(std::filesystem::path root) : root_(std::move(root)), fd_(open_file(root_, O_PATH | O_DIRECTORY)) {}

HostView HostView::of_machine() {
  const char* root = ::secure_getenv(k_root_variable);
  return HostView(root != nullptr && *root == '/' ? root : "/");
}

HostView HostView::below(const std::filesystem::path& directory) const {
  const Fd found = resolve(directory, O_PATH | O_DIRECTORY);
  if (!found) throw SysError(fmt::format("cannot open {}", printable(directory.string(), 4096)));
  return HostView(path_of(found));
}

Fd HostView::resolve(const std::filesystem::path& path, int flags) const {
  const open_how how{
      .flags = static_cast<std::uint64_t>(flags), .mode = 0, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  return Fd(runtime::openat2(fd_.get(), path.c_str(), how));
}

std::optional<HostFile> HostView::find(const std::filesystem::path& path) const {
  const Fd found = resolve(path, O_PATH);
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) != 0) return std::nullopt;
  return HostFile{.path = path_of(found),
                  .kind = kind_of(status.st_mode),
                  .size_bytes = static_cast<std::uint64_t>(status.st_size),
                  .number = status.st_rdev,
                  .owner = status.st_uid,
                  .mode = status.st_mode & 07777};
}

std::optional<Fd> HostView::open(const std::filesystem::path& path) const {
  Fd found = resolve(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);  // a FIFO must not hold us up
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return found;
}

// Files of /proc and /sys say that they are empty, or 4096 bytes: so until the end, whatever their size.
std::string HostView::read(const std::filesystem::path& path, std::uint64_t max_bytes) const {
  const auto file = open(path);
  if (!file) return {};
  std::string content;
  for (;;) {
    const std::size_t before = content.size();
    content.resize(std::min<std::uint64_t>(before + 16384, max_bytes + 1));
    const ssize_t size = ::read(file->get(), content.data() + before, content.size() - before);
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (size < 0 || content.size() > max_bytes) return {};
    if (size == 0) return content;
  }
}

std::vector<std::string> HostView::list(const std::filesystem::path& path) const {
  Fd directory = resolve(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return {};
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) return {};
  directory.release();  // the stream's now
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names, is_before_by_number);
  return names;
}

std::optional<std::string> HostView::link_target(const std::filesystem::path& path) const {
  const Fd parent = resolve(path.parent_path(), O_PATH | O_DIRECTORY);
  if (!parent) return std::nullopt;
  std::string target = link_text(parent.get(), path.filename().c_str());
  return target.empty() ? std::nullopt : std::optional(std::move(target));
}

bool HostView::may_use(const std::filesystem::path& path) const {
  const Fd found = resolve(path, O_PATH);
  return found && ::access(fmt::format("/proc/self/fd/{}", found.get()).c_str(), R_OK | W_OK) == 0;
}

}  // namespace mlctr::hooks
