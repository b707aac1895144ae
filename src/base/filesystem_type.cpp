#include "base/filesystem_type.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {

std::string filesystem_type_of_mount(std::string_view mountinfo, std::uint64_t mount_id) {
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::uint64_t id = 0;
    if (!(fields >> id) || id != mount_id) continue;
    std::string field, type;
    while (fields >> field && field != "-") {
    }
    fields >> type;
    return type;
  }
  return "";
}

std::string filesystem_type(const std::filesystem::path& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &status) != 0) return "";
  try {
    return filesystem_type_of_mount(read_file("/proc/self/mountinfo"), status.stx_mnt_id);
  } catch (const Error&) {
    return "";
  }
}

bool is_network_filesystem(std::string_view type) {
  constexpr std::array<std::string_view, 17> k_network{"nfs",   "nfs4",   "lustre",   "gpfs", "beegfs", "beegfs_nodev",
                                                       "ceph",  "cifs",   "smb3",     "afs",  "9p",     "panfs",
                                                       "pvfs2", "wekafs", "orangefs", "gfs2", "ocfs2"};
  return type.starts_with("fuse.") || std::ranges::find(k_network, type) != k_network.end();
}

}  // namespace mlctr
