#include "app/kernel_probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "app/overlay_exercise.hpp"
#include "base/error.hpp"
#include "runtime/container_rootfs.hpp"
#include "runtime/fuse_mount.hpp"
#include "runtime/fuse_overlayfs.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/obstacle.hpp"
#include "runtime/overlay.hpp"
#include "runtime/remap_filter.hpp"

namespace mlctr {
namespace {

using runtime::Obstacle;
using runtime::Remap;

constexpr const char* k_probe_place = "/";  // covered in this process's own view alone

std::string because(const Obstacle& obstacle, const Error& error) {
  return fmt::format("{} ({})", obstacle.cause, error.message());
}

std::string unpacking_cost() {
  return "images are unpacked instead: the first run of each takes seconds to minutes and its full size on disk";
}

}  // namespace

Finding probe_user_namespaces() {
  try {
    runtime::enter_new_namespaces(runtime::current_identity(Remap::none), CLONE_NEWNS);
    // Remapped root in one more, as joining a container may need.
    const runtime::Identity root{.outer_uid = ::geteuid(), .outer_gid = ::getegid(), .uid = 0, .gid = 0};
    runtime::enter_new_namespaces(root, 0);
  } catch (const SysError& error) {
    const Obstacle obstacle = runtime::why_no_user_namespace(error.errno_value());
    return failure(because(obstacle, error), obstacle.commands);
  }
  return fine("as yourself and as root; no subordinate ids are needed");
}

Finding probe_mounts() {
  runtime::enter_new_namespaces(runtime::current_identity(Remap::none), CLONE_NEWNS);
  try {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) throw SysError("cannot separate the mounts");
    const Fd host = runtime::bind_tree("/", MOUNT_ATTR_NOSUID, MS_PRIVATE);
    const Fd devices = runtime::new_filesystem("devpts", {{"newinstance", std::string(runtime::k_flag)}}, 0);
    runtime::make_scratch(k_probe_place);
  } catch (const SysError& error) {
    if (error.errno_value() == ENOSYS) {
      return failure(fmt::format("the kernel is too old: Linux 5.12 or newer is needed ({})", error.message()));
    }
    const Obstacle obstacle = runtime::why_no_user_namespace(error.errno_value());
    return failure(because(obstacle, error), obstacle.commands);
  }
  return fine("the host's directories, a tmpfs, terminals");
}

Finding probe_remapped_root() {
  const Fd file(::memfd_create("owned", MFD_CLOEXEC));
  runtime::enter_new_namespaces(runtime::current_identity(Remap::root), 0);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw SysError("cannot set no_new_privs");
  runtime::install_filter(Remap::root);
  if (!file || ::fchown(file.get(), 5, 6) != 0) throw SysError("a seccomp filter is installed, but has no effect");
  return fine("apt, dpkg and pip may give files to other users");
}

Finding probe_overlay() {
  runtime::enter_new_namespaces(runtime::current_identity(Remap::none), CLONE_NEWNS);
  const Fd scratch = runtime::make_scratch(k_probe_place);
  try {
    runtime::mount_empty_overlay(scratch);
  } catch (const SysError& error) {
    const Obstacle obstacle = runtime::why_no_overlay(error.errno_value());
    if (runtime::is_fuse_overlayfs_installed()) {
      return warning(because(obstacle, error) + "; fuse-overlayfs is used instead: files open and change slower",
                     obstacle.commands);
    }
    auto commands = obstacle.commands;
    if (commands.empty()) commands.push_back(runtime::install_command("fuse-overlayfs"));
    return warning(
        because(obstacle, error) + "; each container gets a copy of its image instead, unpacked when it starts",
        commands);
  }
  try {
    exercise_overlay(scratch, "upper", "work");
  } catch (const SysError& error) {
    return warning(
        fmt::format("memory can't keep all changes of an unnamed container: {} (a tmpfs has user xattrs since Linux "
                    "6.6); they go to disk, where containers lie on a local one (MLCTR_CONTAINERS), and end with it",
                    error.message()));
  }
  return fine("a file changed, one removed, a directory replaced");
}

Finding probe_fuse() {
  if (const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC)); !device) {
    const SysError error("cannot open /dev/fuse");
    const Obstacle obstacle = runtime::why_no_fuse_device(error.errno_value());
    return warning(fmt::format("{}; {}", because(obstacle, error), unpacking_cost()), obstacle.commands);
  }
  runtime::enter_new_namespaces(runtime::current_identity(Remap::none), CLONE_NEWNS);
  try {
    runtime::new_fuse_mount(runtime::current_identity(Remap::none), runtime::FuseAccess::read_only);
  } catch (const SysError& error) {
    const Obstacle obstacle = runtime::why_no_fuse_mount(error.errno_value());
    return warning(fmt::format("{}; {}", because(obstacle, error), unpacking_cost()), obstacle.commands);
  }
  return fine("/dev/fuse mounted: images start without unpacking");
}

}  // namespace mlctr
