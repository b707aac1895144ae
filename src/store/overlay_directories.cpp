#include "store/overlay_directories.hpp"

#include <sys/stat.h>

#include "base/error.hpp"

namespace mlctr {

void make_overlay_directories(const std::filesystem::path& directory) {
  for (const char* name : {"upper", "work"}) {
    const std::filesystem::path path = directory / name;
    // The upper's mode is that of the container's "/", whatever the umask.
    if (::mkdir(path.c_str(), 0755) != 0 || ::chmod(path.c_str(), 0755) != 0) {
      throw SysError("cannot make " + path.string());
    }
  }
}

}  // namespace mlctr
