#include "runtime/run_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::runtime {
namespace {

constexpr off_t k_run = 0, k_turn = 1;
constexpr std::size_t k_max_bytes = 5000;  // a path's 4096, and a number

struct flock byte_lock(off_t byte) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

bool is_still_at(const Fd& fd, const std::filesystem::path& file) {
  struct stat mine {}, named {};
  return ::fstat(fd.get(), &mine) == 0 && ::lstat(file.c_str(), &named) == 0 && mine.st_dev == named.st_dev &&
         mine.st_ino == named.st_ino;
}

std::optional<RunPlace> parse_place(std::string_view text) {
  RunPlace place;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), place.server);
  const auto at = static_cast<std::size_t>(end - text.data());
  if (mistake != std::errc{} || at + 2 >= text.size() || text[at] != ' ' || text.back() != '\n') return std::nullopt;
  place.sockets = text.substr(at + 1, text.size() - at - 2);
  return place.sockets.is_absolute() ? std::optional(std::move(place)) : std::nullopt;
}

}  // namespace

std::optional<Fd> try_lock_run(const std::filesystem::path& file) {
  for (;;) {
    Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return Fd();  // what stands in the way of the container itself says so better
    struct flock lock = byte_lock(k_run);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EACCES ? std::nullopt : std::optional(Fd());
    }
    if (is_still_at(fd, file)) return fd;  // else the container was removed meanwhile
  }
}

Fd wait_for_turn(const Fd& run_lock) {
  Fd turn = open_file(fmt::format("/proc/self/fd/{}", run_lock.get()), O_RDWR);
  struct flock lock = byte_lock(k_turn);
  while (::fcntl(turn.get(), F_OFD_SETLKW, &lock) != 0) {
    if (errno != EINTR) throw SysError("cannot wait for the turn to serve a container");
  }
  return turn;
}

void write_run_place(const Fd& run_lock, const RunPlace& place) {
  const std::string text = fmt::format("{} {}\n", place.server, place.sockets.string());
  if (::ftruncate(run_lock.get(), 0) != 0) return;
  [[maybe_unused]] const auto written = ::pwrite(run_lock.get(), text.data(), text.size(), 0);
}

void clear_run_place(const Fd& run_lock) {
  [[maybe_unused]] const int result = ::ftruncate(run_lock.get(), 0);
}

std::optional<Run> look_at_run(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return std::nullopt;
  struct flock lock = byte_lock(k_run);
  const bool is_held = ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  std::string text(k_max_bytes, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  auto place = parse_place(text);
  if (!place && !is_held) return std::nullopt;
  return Run{is_held, place.value_or(RunPlace{})};
}

}  // namespace mlctr::runtime
