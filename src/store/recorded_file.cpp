#include "store/recorded_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/path.hpp"
#include "store/file_time.hpp"

namespace mlctr {

void record_file(const std::filesystem::path& link, const std::filesystem::path& file) {
  const std::filesystem::path target = absolute_path(file);
  if (::symlink(target.c_str(), link.c_str()) != 0) throw SysError("cannot create " + link.string());
  struct stat status {};
  if (::stat(target.c_str(), &status) != 0) throw SysError("cannot stat " + target.string());
  const timespec times[2] = {status.st_mtim, status.st_mtim};
  if (::utimensat(AT_FDCWD, link.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    throw SysError("cannot set the time of " + link.string());
  }
}

std::optional<RecordedFile> read_recorded_file(const std::filesystem::path& link) {
  using State = RecordedFile::State;
  struct stat mark {
  }, now{};
  if (::lstat(link.c_str(), &mark) != 0 || !S_ISLNK(mark.st_mode)) return std::nullopt;
  std::error_code ignored;
  RecordedFile recorded{std::filesystem::read_symlink(link, ignored), State::away};
  if (::stat(link.c_str(), &now) != 0) return recorded;
  const bool is_same = S_ISREG(now.st_mode) && modification_time(now) == modification_time(mark);
  recorded.state = is_same ? State::unchanged : State::changed;
  return recorded;
}

}  // namespace mlctr
