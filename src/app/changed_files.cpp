#include "app/changed_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>

#include "base/error.hpp"
#include "runtime/message.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_most = 10'000;
constexpr int k_deepest = 200;  // every level holds a descriptor

// What the program's process tells its parent.
struct Start {
  timespec time{};
  std::size_t younger = 0;
};

bool is_later(const timespec& time, const timespec& than) {
  return time.tv_sec != than.tv_sec ? time.tv_sec > than.tv_sec : time.tv_nsec > than.tv_nsec;
}

std::size_t count_below(Fd directory, const timespec& since, int depth) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) return 0;
  const int fd = directory.release();
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat status {};
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0 ||
        ::fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (!S_ISDIR(status.st_mode)) {
      count += is_later(status.st_ctim, since) ? 1 : 0;
    } else if (depth < k_deepest) {
      Fd child(::openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (child) count += count_below(std::move(child), since, depth + 1);
    }
    if (count >= k_most) break;
  }
  return count;
}

}  // namespace

ChangedFiles::ChangedFiles() {
  std::tie(here_, there_) = runtime::socket_pair();
  ::fcntl(here_.get(), F_SETFL, O_NONBLOCK);
}

void ChangedFiles::begin(const Fd& upper) const {
  Start start;
  // The clock that stamps most inodes. Some stamps are finer, and so a little later (multigrain ones, Linux 6.13):
  // files that are there already and look younger are not the program's.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &start.time);
  start.younger = count_below(Fd(::openat(upper.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), start.time, 0);
  runtime::send_message(there_, std::string_view(reinterpret_cast<const char*>(&start), sizeof start), {upper.get()});
}

std::size_t ChangedFiles::count() const {
  try {
    auto message = runtime::receive_message(here_);
    if (!message || message->fds.size() != 1 || message->text.size() != sizeof(Start)) return 0;
    Start start;
    std::memcpy(&start, message->text.data(), sizeof start);
    const std::size_t younger = count_below(std::move(message->fds[0]), start.time, 0);
    return younger - std::min(younger, start.younger);
  } catch (const SysError&) {
    return 0;  // nothing was sent: the container never came to be
  }
}

}  // namespace mlctr
