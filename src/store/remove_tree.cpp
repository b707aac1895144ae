#include "store/remove_tree.hpp"

#include <sys/stat.h>

#include "base/error.hpp"

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

}  // namespace

void remove_tree(const std::filesystem::path& tree) {
  std::error_code error;
  std::filesystem::remove_all(tree, error);
  if (!error) return;
  open_up(tree);
  std::filesystem::remove_all(tree, error);
  struct stat status {};
  if (error && ::lstat(tree.c_str(), &status) == 0) throw SysError("cannot remove " + tree.string(), error.value());
}

}  // namespace mlctr
