#include "app/changed_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <iterator>
#include <memory>

#include "base/error.hpp"
#include "base/path.hpp"
#include "runtime/message.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_most = 10'000;
constexpr int k_deepest = 200;  // every level holds a descriptor

bool is_later(const timespec& time, const timespec& than) {
  return time.tv_sec != than.tv_sec ? time.tv_sec > than.tv_sec : time.tv_nsec > than.tv_nsec;
}

using Paths = std::vector<std::filesystem::path>;

// `path`: where `directory` is in the container.
void find_below(Fd directory, const std::filesystem::path& path, const timespec& since, int depth, Paths& found) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) return;
  const int fd = directory.release();
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat status {};
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0 ||
        ::fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (!S_ISDIR(status.st_mode)) {
      if (is_later(status.st_ctim, since)) found.push_back(path / entry->d_name);
    } else if (depth < k_deepest) {
      Fd child(::openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (child) find_below(std::move(child), path / entry->d_name, since, depth + 1, found);
    }
    if (found.size() >= k_most) break;
  }
}

Paths find_changed(const Fd& upper, const timespec& since) {
  Paths found;
  find_below(Fd(::fcntl(upper.get(), F_DUPFD_CLOEXEC, 0)), "/", since, 0, found);
  return found;
}

// What the program's process tells its parent: when it began, and each path that was younger by then, a NUL behind it.
std::string to_message(const timespec& start, const Paths& younger) {
  std::string text(reinterpret_cast<const char*>(&start), sizeof start);
  for (const auto& path : younger) text.append(path.native()).push_back('\0');
  return text;
}

std::pair<timespec, Paths> from_message(const std::string& text) {
  std::pair<timespec, Paths> sent;
  std::memcpy(&sent.first, text.data(), std::min(text.size(), sizeof sent.first));
  for (std::size_t begin = sizeof sent.first; begin < text.size(); begin += sent.second.back().native().size() + 1) {
    sent.second.emplace_back(text.c_str() + begin);
  }
  return sent;
}

// What installing leaves beside what was installed.
bool is_by_product(const std::filesystem::path& file) {
  constexpr std::array<std::string_view, 6> k_directories{"/var/cache",    "/var/log",         "/var/lib/apt",
                                                          "/var/lib/dpkg", "/etc/ld.so.cache", "/run"};
  if (std::ranges::any_of(k_directories, [&](std::string_view directory) { return is_below(file, directory); })) {
    return true;
  }
  return std::ranges::any_of(file, [](const auto& part) { return part == ".cache" || part == "__pycache__"; });
}

// Those nearest the root first: a file that a person made is rarely deep in a package.
Paths choose_examples(Paths files, std::size_t count) {
  std::erase_if(files, is_by_product);
  const auto depth = [](const std::filesystem::path& file) { return std::distance(file.begin(), file.end()); };
  std::ranges::sort(files, [&](const auto& a, const auto& b) {
    return std::pair(depth(a), a.native()) < std::pair(depth(b), b.native());
  });
  files.resize(std::min(files.size(), count));
  return files;
}

}  // namespace

ChangedFiles::ChangedFiles() {
  std::tie(here_, there_) = runtime::socket_pair();
  ::fcntl(here_.get(), F_SETFL, O_NONBLOCK);
}

void ChangedFiles::begin(const Fd& upper) const {
  timespec start{};
  // The clock that stamps most inodes. Some stamps are finer, and so a little later (multigrain ones, Linux 6.13):
  // files that are there already and look younger are not the program's.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &start);
  const Fd directory(::openat(upper.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  runtime::send_message(there_, to_message(start, find_changed(directory, start)), {upper.get()});
}

LostFiles ChangedFiles::find(std::size_t examples) const {
  try {
    const auto message = runtime::receive_message(here_);
    if (!message || message->fds.size() != 1) return {};
    const auto [start, younger] = from_message(message->text);
    Paths found = find_changed(message->fds[0], start);
    std::erase_if(found, [&](const auto& file) { return std::ranges::find(younger, file) != younger.end(); });
    return {found.size(), choose_examples(std::move(found), examples)};
  } catch (const SysError&) {
    return {};  // nothing was sent: the container never came to be
  }
}

}  // namespace mlctr
