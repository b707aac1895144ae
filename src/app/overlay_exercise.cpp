#include "app/overlay_exercise.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "runtime/overlay.hpp"

namespace mlctr {
namespace {

void make_file(int directory, const char* name) {
  const Fd file(::openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!file || ::write(file.get(), "x", 1) != 1) throw SysError(fmt::format("cannot make the file {}", name));
}

void make_directory(int directory, const char* name) {
  if (::mkdirat(directory, name, 0755) != 0) throw SysError(fmt::format("cannot make the directory {}", name));
}

std::string in(const Fd& scratch, const std::string& path) {
  return path.starts_with('/') ? path : fmt::format("/proc/self/fd/{}/{}", scratch.get(), path);
}

// As a package manager does that turns a directory into another one's.
void replace_directory(int root) {
  if (::unlinkat(root, "directory/file", 0) != 0 || ::unlinkat(root, "directory", AT_REMOVEDIR) != 0 ||
      ::mkdirat(root, "directory", 0755) != 0) {
    throw SysError("cannot replace a directory of the image");
  }
  if (::faccessat(root, "directory/file", F_OK, 0) == 0) {
    throw SysError("cannot replace a directory of the image: the old one shows through", EIO);
  }
}

}  // namespace

void exercise_overlay(const Fd& scratch, const std::string& upper, const std::string& work) {
  for (const char* name : {"image/changed", "image/removed"}) make_file(scratch.get(), name);
  make_directory(scratch.get(), "image/directory");
  make_file(scratch.get(), "image/directory/file");
  const Fd overlay = runtime::mount_overlay({in(scratch, "image"), in(scratch, upper), in(scratch, work)});
  const int root = overlay.get();
  const Fd changed(::openat(root, "changed", O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!changed || ::write(changed.get(), "y", 1) != 1) throw SysError("cannot change a file of the image");
  if (::unlinkat(root, "removed", 0) != 0) throw SysError("cannot remove a file of the image");
  replace_directory(root);
  if (::fsetxattr(changed.get(), "user.mlctr", "1", 1, 0) != 0) throw SysError("cannot set a user xattr");
}

}  // namespace mlctr
