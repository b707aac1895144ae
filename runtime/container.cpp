#include "runtime/container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/error.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/base_container.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/rootfs.hpp"
#include "runtime/syscalls.hpp"

namespace mlctr::runtime {
namespace {

// What is mounted here must not show outside; what the host unmounts goes here too, or its disks stay busy.
void receive_mount_events_only() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    throw SysError("cannot separate the mounts from the host's");
  }
}

void make_directory(const Fd& parent, const char* name) {
  if (::mkdirat(parent.get(), name, 0755) != 0) throw SysError(fmt::format("cannot make the directory {}", name));
}

// A tmpfs that only this container sees: the places where image and rootfs hang until the root is changed, and the
// upper directory of a container that keeps nothing.
Fd make_scratch(const std::filesystem::path& place) {
  Fd scratch = new_filesystem("tmpfs", {{"source", "mlctr"}, {"mode", "0700"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  attach_tree(scratch, AT_FDCWD, place.string());
  for (const char* name : {"image", "upper", "work", "rootfs", "files"}) make_directory(scratch, name);
  return scratch;
}

struct UpperPaths {
  std::string upper, work;
};

struct FindUpper {
  int scratch;

  UpperPaths operator()(const TmpfsUpper&) const {
    const std::string base = fmt::format("/proc/self/fd/{}", scratch);
    return {base + "/upper", base + "/work"};
  }
  UpperPaths operator()(const DirectoryUpper& upper) const { return {upper.upper.string(), upper.work.string()}; }
};

// The last word about why overlayfs doesn't take a directory is the kernel log's, which users can't read.
std::string upper_hint(const UpperPaths& paths) {
  return fmt::format(
      "{} must be on a local filesystem that overlayfs can write to (ext4, xfs, btrfs, tmpfs; not NFS or "
      "Lustre): set MLCTR_CONTAINERS to a directory on one",
      paths.upper);
}

Fd mount_overlay(const Fd& scratch, const UpperPaths& paths) {
  // userxattr: marks in user.overlay.*, as trusted.* is not for user namespaces (overlayfs.rst).
  const FilesystemOptions options{{"source", "mlctr"},
                                  {"lowerdir", fmt::format("/proc/self/fd/{}/image", scratch.get())},
                                  {"upperdir", paths.upper},
                                  {"workdir", paths.work},
                                  {"userxattr", std::string(k_flag)}};
  try {
    return new_filesystem("overlay", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  } catch (Error& error) {
    error.add_hint(upper_hint(paths));
    throw;
  }
}

void change_root(const Rootfs& rootfs) {
  // The old root comes to lie on the new one and goes at once (pivot_root(2), NOTES).
  if (::fchdir(rootfs.fd()) != 0 || pivot_root(".", ".") != 0) throw SysError("cannot change the root");
  if (::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) throw SysError("cannot leave the host's root");
}

}  // namespace

void bring_up_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    throw SysError("cannot bring up the loopback device");
}

Fd build_container(const ContainerSpec& spec, const ContainerServer& server) {
  if (::unshare(CLONE_NEWNS | spec.own_namespaces) != 0) throw SysError("cannot make the container's namespaces");
  receive_mount_events_only();
  if ((spec.own_namespaces & CLONE_NEWNET) != 0) bring_up_loopback();

  const Fd image = server.mount_image(0, spec.identity);
  const auto mounts =
      open_mounts(spec.mounts, [&](std::size_t number) { return server.mount_image(number, spec.identity); });
  const Fd scratch = make_scratch(spec.scratch);
  attach_tree(image, scratch.get(), "image");

  const UpperPaths paths = std::visit(FindUpper{scratch.get()}, spec.upper);
  Fd upper = open_file(paths.upper, O_RDONLY | O_DIRECTORY);
  const Fd overlay = mount_overlay(scratch, paths);
  attach_tree(overlay, scratch.get(), "rootfs");
  const Rootfs rootfs(open_file(fmt::format("/proc/self/fd/{}/rootfs", scratch.get()), O_PATH | O_DIRECTORY));

  const Fd files = open_file(fmt::format("/proc/self/fd/{}/files", scratch.get()), O_PATH | O_DIRECTORY);
  apply_mounts(mounts, rootfs, files.get());
  apply_mounts(open_mounts(user_entries(rootfs, spec.host, spec.identity), {}), rootfs, files.get());
  if (spec.access == RootfsAccess::read_only) add_attributes(overlay, MOUNT_ATTR_RDONLY);
  change_root(rootfs);
  server.open_door();
  return upper;
}

}  // namespace mlctr::runtime
