// An owned file descriptor. Every descriptor in mlctr is one of these and close-on-exec.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <utility>

namespace mlctr {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

/// Opens a file whose bytes are wanted, to read. Throws Error where it is anything but a regular file (a FIFO would
/// block).
Fd open_regular_file(const std::filesystem::path& path);

/// open(2) with O_CLOEXEC added; throws SysError "cannot open PATH".
Fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0666);

struct Pipe {
  Fd read_end, write_end;
};

/// pipe2(2), close-on-exec. Throws SysError.
Pipe make_pipe();

}  // namespace mlctr
