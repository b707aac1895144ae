#include "store/open_file_lock.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "store/sharing.hpp"

namespace mlctr {
namespace {

struct flock whole_file_lock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool is_unsupported(int errno_value) {
  return errno_value == ENOLCK || errno_value == ENOSYS || errno_value == EOPNOTSUPP || errno_value == EINVAL;
}

bool is_held_by_other(int errno_value) {
  return errno_value == EAGAIN || errno_value == EACCES;
}

// gc removes lock files while it holds them: a lock on a file that has no name any more excludes nobody.
bool is_still_at(int fd, const std::filesystem::path& path) {
  struct stat mine {
  }, named{};
  if (::fstat(fd, &mine) != 0) throw SysError("cannot stat " + path.string());
  return ::lstat(path.c_str(), &named) == 0 && mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

LockOwner read_owner(int fd, const std::filesystem::path& path) {
  std::string text(512, '\0');
  text.resize(read_at(fd, std::as_writable_bytes(std::span(text)), 0, path.string()));
  return LockOwner::parse(text);
}

// For messages only: a full disk must not keep anyone from the lock, which may be gc's.
void write_owner(int fd) {
  const std::string text = LockOwner::current().to_string() + "\n";
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t put = ::pwrite(fd, text.data(), text.size(), 0);
  struct statfs filesystem {};
  // Other nodes see only what the server has.
  if (::fstatfs(fd, &filesystem) == 0 && filesystem.f_type == NFS_SUPER_MAGIC) ::fdatasync(fd);
}

class HeldFile final : public Lock::Held {
 public:
  HeldFile(Fd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  void remove() override { ::unlink(path_.c_str()); }  // a failure leaves a file that the next gc removes

 private:
  Fd fd_;
  std::filesystem::path path_;
};

}  // namespace

std::optional<LockAttempt> try_open_file_lock(const std::filesystem::path& path) {
  for (;;) {
    Fd fd = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    share_with_group(fd.get(), path.parent_path());
    struct flock lock = whole_file_lock();
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
      if (errno == EINTR) continue;
      if (is_unsupported(errno)) return std::nullopt;
      if (is_held_by_other(errno)) return read_owner(fd.get(), path);
      throw SysError("cannot lock " + path.string());
    }
    if (!is_still_at(fd.get(), path)) continue;
    write_owner(fd.get());
    return std::make_unique<HeldFile>(std::move(fd), path);
  }
}

bool is_open_file_locked(const std::filesystem::path& path) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return false;
  struct flock lock = whole_file_lock();
  return ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace mlctr
