#include "app/temporary_upper.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/filesystem_type.hpp"
#include "store/overlay_directories.hpp"

namespace mlctr {
namespace {

// Of those that can have an overlay's upper directory.
constexpr std::array<std::string_view, 5> k_local_disks{"ext4", "xfs", "btrfs", "f2fs", "zfs"};

bool has_linux(int major, int minor) {
  struct utsname names {};
  int has_major = 0, has_minor = 0;
  if (::uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &has_major, &has_minor) != 2) return false;
  return has_major > major || (has_major == major && has_minor >= minor);
}

// Distributions give older kernels this too: the memory of a memfd is such a file.
bool has_tmpfs_attributes() {
  if (has_linux(6, 6)) return true;
  const Fd file(::memfd_create("mlctr-probe", MFD_CLOEXEC));
  return file && ::fsetxattr(file.get(), "user.mlctr", "y", 1, 0) == 0;
}

bool is_on_disk(const std::filesystem::path& directory) {
  return std::ranges::find(k_local_disks, filesystem_type(nearest_existing(directory))) != k_local_disks.end();
}

}  // namespace

std::optional<UnpackedTree> make_temporary_upper(const Configuration& configuration) {
  const bool is_wanted = configuration.changes == ChangesPlace::disk;
  if (!is_wanted && (configuration.changes == ChangesPlace::memory || has_tmpfs_attributes())) return std::nullopt;
  const std::filesystem::path place = open_containers(configuration).root();
  if (!is_on_disk(place)) {
    if (!is_wanted) return std::nullopt;
    throw Error(fmt::format("run.changes=disk: {} is not on a local disk", place.string()),
                "MLCTR_CONTAINERS (or containers in mlctr.toml) names a directory on one");
  }
  return UnpackedStore(place).make_own(make_overlay_directories);
}

}  // namespace mlctr
