#include "store/lock_kind.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// One line: "36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue".
struct Mount {
  std::string device, type, options;
};

Mount parse_mount(const std::string& line) {
  Mount mount;
  std::istringstream fields(line);
  std::string field, source, mount_options;
  fields >> field >> field >> mount.device >> field >> field >> mount_options;
  while (fields >> field && field != "-") {
  }
  fields >> mount.type >> source >> mount.options;
  mount.options = "," + mount_options + "," + mount.options + ",";
  return mount;
}

bool needs_leases(const Mount& mount) {
  const auto has = [&](std::string_view option) {
    return mount.options.find(fmt::format(",{},", option)) != std::string::npos;
  };
  if (mount.type == "lustre") return has("localflock");
  // nfs(5): these keep fcntl locks on the client. Those of version 3 are the server's, but stay where the client goes
  // away without a word: only when that machine starts again are they freed (rpc.statd(8)).
  if (mount.type == "nfs" || mount.type == "nfs4")
    return has("nolock") || has("local_lock=posix") || has("local_lock=all") || has("vers=3");
  // sshfs has no locks of its own, so the kernel keeps them for this mount alone.
  return mount.type == "fuse.sshfs";
}

}  // namespace

LockKind lock_kind_of_mount(std::string_view mountinfo, dev_t device) {
  const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    const Mount mount = parse_mount(line);
    if (mount.device == wanted && needs_leases(mount)) return LockKind::lease;
  }
  return LockKind::open_file;
}

LockKind choose_lock_kind(const std::filesystem::path& directory) {
  if (const char* forced = std::getenv("MLCTR_LOCKS"); forced != nullptr && *forced != '\0') {
    if (std::string_view(forced) == "lease") return LockKind::lease;
    if (std::string_view(forced) == "open_file") return LockKind::open_file;
    throw UsageError(fmt::format("MLCTR_LOCKS={}: it must be lease or open_file", forced));
  }
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) throw SysError("cannot stat " + directory.string());
  // Without /proc what the filesystem says itself must do.
  return lock_kind_of_mount(read_file_if_any("/proc/self/mountinfo"), status.st_dev);
}

}  // namespace mlctr
