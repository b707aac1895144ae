#include "app/overlay_marks.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// fuse-overlayfs 1.10, main.c and direct.c: the attribute, and files where a filesystem takes none.
constexpr const char* k_foreign_mark = "user.fuseoverlayfs.opaque";
constexpr const char* k_kernels_mark = "user.overlay.opaque";  // overlayfs.rst, "userxattr"
constexpr std::string_view k_mark_files[] = {".wh..wh..opq", ".wh..opq"};

std::filesystem::path note_of(const StoredContainer& container) {
  return container.upper.parent_path() / "fuse-overlayfs";
}

bool is_mark_file(std::string_view name) {
  return name == k_mark_files[0] || name == k_mark_files[1];
}

// The foreign ones go last, so that a second try finds what the first left undone.
void translate_directory(int fd, bool has_mark_file) {
  const bool is_opaque = has_mark_file || ::fgetxattr(fd, k_foreign_mark, nullptr, 0) >= 0;
  if (!is_opaque) return;
  if (::fsetxattr(fd, k_kernels_mark, "y", 1, 0) != 0) throw SysError("cannot mark an opaque directory");
  for (const std::string_view name : k_mark_files) ::unlinkat(fd, name.data(), 0);
  ::fremovexattr(fd, k_foreign_mark);
}

void translate_below(Fd directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) throw SysError("cannot list a directory of changes");
  const int fd = directory.release();
  bool has_mark_file = false;
  std::vector<std::string> children;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name(entry->d_name);
    has_mark_file = has_mark_file || is_mark_file(name);
    if (entry->d_type != DT_REG && entry->d_type != DT_CHR && name != "." && name != "..") children.emplace_back(name);
  }
  for (const std::string& name : children) {
    Fd child(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (child) {
      translate_below(std::move(child));
    } else if (errno != ENOTDIR && errno != ELOOP) {
      throw SysError(fmt::format("cannot open the directory {} of changes", name));
    }
  }
  translate_directory(fd, has_mark_file);
}

}  // namespace

void prepare_for_fuse_overlayfs(const StoredContainer& container) {
  // The kernel's overlay leaves it without permissions; this one has only its user's rights.
  ::chmod((container.work / "work").c_str(), 0700);
  sync_file(open_file(note_of(container), O_WRONLY | O_CREAT, 0600).get(), note_of(container).string());
  sync_directory(note_of(container).parent_path());
}

void translate_foreign_marks(const StoredContainer& container) {
  if (::access(note_of(container).c_str(), F_OK) != 0) return;
  try {
    translate_below(open_file(container.upper, O_RDONLY | O_DIRECTORY));
  } catch (Error& error) {
    error.add_context(
        fmt::format("cannot take over the changes that fuse-overlayfs wrote in {}", container.upper.string()));
    error.add_hint("run.rootfs=fuse-overlayfs goes on with them");
    throw;
  }
  ::unlink(note_of(container).c_str());
}

}  // namespace mlctr
