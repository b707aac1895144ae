#include "base/filesystem_type.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <sstream>

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
  return filesystem_type_of_mount(read_file_if_any("/proc/self/mountinfo"), status.stx_mnt_id);
}

}  // namespace mlctr
