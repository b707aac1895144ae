#include "base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"

namespace mlctr {
namespace {

std::string path_of(int fd) {
  std::error_code ignored;
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), ignored).string();
}

[[noreturn]] void throw_write_error(int fd, std::string_view file_name) {
  SysError error(fmt::format("cannot write {}", file_name));
  if (is_disk_full(error.errno_value())) {
    const std::filesystem::path directory = std::filesystem::path(path_of(fd)).parent_path();
    error.add_hint(fmt::format("{} has {} MiB left: free some (mlctr gc), or set MLCTR_STORE to a larger filesystem",
                               directory.string(), free_bytes(directory) >> 20));
  }
  if (error.errno_value() == EFBIG) {
    error.add_hint("this session may not write files that large (ulimit -f), or the filesystem can't hold them");
  }
  throw error;
}

// Whether copy_file_range can't serve this pair of files, so that plain reads and writes must: two filesystems (EXDEV),
// files of an odd kind (EINVAL, EOPNOTSUPP), or the seccomp filter of an old container tool (EPERM, ENOSYS).
bool needs_plain_copy(int errno_value) {
  return errno_value == EXDEV || errno_value == EINVAL || errno_value == ENOSYS || errno_value == EOPNOTSUPP ||
         errno_value == EPERM || errno_value == EBADF;
}

void copy_plainly(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset, std::uint64_t size,
                  std::string_view to_name) {
  std::vector<std::byte> buffer(1u << 20);
  while (size > 0) {
    const std::span<std::byte> part = std::span(buffer).first(std::min<std::uint64_t>(size, buffer.size()));
    if (read_at(from, part, from_offset, path_of(from)) != part.size()) {
      throw Error(fmt::format("cannot copy into {}: the source ended early", to_name));
    }
    write_all_at(to, part, to_offset, to_name);
    from_offset += part.size();
    to_offset += part.size();
    size -= part.size();
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const Fd fd = open_file(path, O_RDONLY);
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SysError("cannot read " + path.string());
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > max_bytes) {
      throw Error(fmt::format("cannot read {}: it is larger than {} bytes", path.string(), max_bytes));
    }
  }
}

std::string read_file_if_any(const std::filesystem::path& path, std::uint64_t max_bytes) {
  try {
    return read_file(path, max_bytes);
  } catch (const Error&) {
    return {};
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  std::filesystem::path temporary = path;
  temporary += ".tmp-" + random_suffix();
  TemporaryFile file(temporary, mode);
  write_all(file.fd(), std::as_bytes(std::span(content)), path.string());
  file.commit(path);
}

void write_all(int fd, std::span<const std::byte> bytes, std::string_view file_name) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_write_error(fd, file_name);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void write_all_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset, std::string_view file_name) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_write_error(fd, file_name);
    offset += static_cast<std::uint64_t>(put);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset, std::string_view file_name) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SysError(fmt::format("cannot read {}", file_name));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::string read_until_end(int pipe) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t got; (got = ::read(pipe, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

void copy_range(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset, std::uint64_t size,
                std::string_view to_name) {
  while (size > 0) {
    auto in = static_cast<off_t>(from_offset);
    auto out = static_cast<off_t>(to_offset);
    const ssize_t copied = ::copy_file_range(from, &in, to, &out, size, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && needs_plain_copy(errno)) return copy_plainly(from, from_offset, to, to_offset, size, to_name);
    if (copied < 0) throw_write_error(to, to_name);
    if (copied == 0) throw Error(fmt::format("cannot copy into {}: the source ended early", to_name));
    from_offset += static_cast<std::uint64_t>(copied);
    to_offset += static_cast<std::uint64_t>(copied);
    size -= static_cast<std::uint64_t>(copied);
  }
}

bool is_disk_full(int errno_value) {
  // On clusters a quota is full far more often than a disk.
  return errno_value == ENOSPC || errno_value == EDQUOT;
}

std::uint64_t free_bytes(const std::filesystem::path& path) {
  struct statvfs status {};
  // f_bavail, not f_bfree: what is reserved for root is of no use to the reader of the figure.
  return ::statvfs(path.c_str(), &status) == 0 ? std::uint64_t{status.f_bavail} * status.f_frsize : 0;
}

std::filesystem::path nearest_existing(std::filesystem::path path) {
  struct stat status {};
  while (::stat(path.c_str(), &status) != 0 && path.has_relative_path()) path = path.parent_path();
  return path;
}

std::uint64_t file_size(int fd, std::string_view file_name) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw SysError(fmt::format("cannot stat {}", file_name));
  return static_cast<std::uint64_t>(status.st_size);
}

void sync_file(int fd, std::string_view file_name) {
  if (::fsync(fd) != 0) throw_write_error(fd, file_name);
}

void sync_directory(const std::filesystem::path& directory) {
  const Fd fd = open_file(directory, O_RDONLY | O_DIRECTORY);
  // Some network filesystems refuse fsync on directories (EINVAL); their renames are synchronous.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) throw SysError("cannot sync " + directory.string());
}

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw SysError("cannot rename " + from.string() + " to " + to.string());
}

std::string random_suffix() {
  std::array<std::byte, 8> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw SysError("cannot get random bytes");
  }
  return to_hex(bytes);
}

TemporaryFile::TemporaryFile(std::filesystem::path path, mode_t mode)
    : path_(std::move(path)), fd_(open_file(path_, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode)) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void TemporaryFile::commit(const std::filesystem::path& final_path) {
  // In this order: a crash between the two must not leave the final name on a file without content.
  sync_file(fd_.get(), path_.string());
  rename_file(path_, final_path);
  path_.clear();
  sync_directory(final_path.parent_path());
}

}  // namespace mlctr
