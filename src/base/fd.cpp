#include "base/fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/error.hpp"

namespace mlctr {

void Fd::reset() noexcept {
  // Never retried on EINTR: Linux has released the number by then (close(2), "Dealing with error returns").
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Fd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) throw SysError("cannot open " + path.string());
  return Fd(fd);
}

Fd open_regular_file(const std::filesystem::path& path) {
  Fd fd = open_file(path, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw SysError("cannot stat " + path.string());
  if (!S_ISREG(status.st_mode)) throw Error(path.string() + " is not a regular file");
  return fd;
}

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw SysError("cannot make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace mlctr
