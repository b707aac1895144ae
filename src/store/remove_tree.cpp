#include "store/remove_tree.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

// Directories that a program left without permissions (overlayfs's own work/work is 0) are the user's all the same.
void open_up(const std::filesystem::path& directory) {
  if (::chmod(directory.c_str(), 0700) != 0) return;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.symlink_status(error).type() == std::filesystem::file_type::directory) open_up(entry.path());
  }
}

// NFS keeps what a process of this node has open under another name, until it is closed: nobody can remove that.
bool is_kept_by_nfs(const std::filesystem::path& file) {
  return errno == EBUSY && file.filename().string().starts_with(".nfs");
}

// Whether nothing stays but such files and the directories that they are in, which go with the next gc.
bool remove_around_open_files(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT;
  if (!S_ISDIR(status.st_mode)) return ::unlink(path.c_str()) == 0 || is_kept_by_nfs(path);
  bool is_done = true;
  for (const std::string& name : list_directory(path)) is_done &= remove_around_open_files(path / name);
  if (::rmdir(path.c_str()) == 0) return true;
  return is_done && (errno == ENOTEMPTY || errno == EEXIST || errno == EBUSY);
}

}  // namespace

void remove_tree(const std::filesystem::path& tree) {
  std::error_code error;
  std::filesystem::remove_all(tree, error);
  if (!error) return;
  open_up(tree);
  std::filesystem::remove_all(tree, error);
  if (error && !remove_around_open_files(tree)) throw SysError("cannot remove " + tree.string(), error.value());
}

}  // namespace mlctr
