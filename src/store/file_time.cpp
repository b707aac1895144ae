#include "store/file_time.hpp"

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {

FileTime modification_time(const struct stat& status) {
  return FileTime(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

FileTime filesystem_now(const std::filesystem::path& directory) {
  const TemporaryFile probe(directory / ("clock-" + random_suffix()));
  struct stat status {};
  if (::fstat(probe.fd(), &status) != 0) throw SysError("cannot stat " + probe.path().string());
  return modification_time(status);
}

}  // namespace mlctr
