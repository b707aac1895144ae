#include "store/sharing.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace mlctr {

void share_with_group(int fd, const std::filesystem::path& parent) {
  struct stat above {
  }, status{};
  if (::stat(parent.c_str(), &above) != 0 || (above.st_mode & S_IWGRP) == 0) return;
  if (::fstat(fd, &status) != 0 || status.st_uid != ::geteuid()) return;
  const mode_t wanted =
      S_ISDIR(status.st_mode) ? S_IRGRP | S_IWGRP | S_IXGRP | (above.st_mode & S_ISGID) : S_IRGRP | S_IWGRP;
  if ((status.st_mode & wanted) == wanted) return;
  // Refused where ids can't be changed (some network mounts): then the umask decides, as it would without us.
  [[maybe_unused]] const int ignored = ::fchmod(fd, (status.st_mode | wanted) & 07777);
}

void make_store_directory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) throw SysError("cannot create " + directory.string());
  // A symlink would lead our writes out of the store, to wherever its maker likes.
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && (errno == ELOOP || errno == ENOTDIR)) {
    throw Error(directory.string() + " is not a directory of the store but a link or a file",
                "look at what it is and who put it there, then remove it");
  }
  if (!fd) throw SysError("cannot open " + directory.string());
  share_with_group(fd.get(), directory.parent_path());
}

}  // namespace mlctr
