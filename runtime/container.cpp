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
#include <numeric>

#include "base/error.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/base_container.hpp"
#include "runtime/container_rootfs.hpp"
#include "runtime/driver_loader.hpp"
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

void bring_up_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    throw SysError("cannot bring up the loopback device");
}

// The scratch tmpfs becomes the namespace's root and the rootfs covers it: so it stays until the last process is gone,
// and whoever watches it learns of that (ContainerServer::hold).
void change_root(const Fd& scratch, const Rootfs& rootfs) {
  // The old root comes to lie on top of both and goes at once (pivot_root(2), NOTES).
  if (::fchdir(scratch.get()) != 0 || pivot_root(".", ".") != 0) throw SysError("cannot change the root");
  if (::umount2(".", MNT_DETACH) != 0) throw SysError("cannot leave the host's root");
  // Not a chroot as the kernel counts: what covers the namespace's root is as good as it (user_namespaces(7), EPERM).
  if (::fchdir(rootfs.fd()) != 0 || ::chroot(".") != 0) throw SysError("cannot enter the container's root");
}

// What an image shows of itself in a second place can change as little there.
std::vector<Mount> as_accessible(std::vector<Mount> mounts, RootfsAccess access) {
  for (Mount& mount : mounts) {
    const bool is_of_the_image = std::holds_alternative<ContainerTree>(mount.source);
    if (is_of_the_image && access == RootfsAccess::read_only) mount.attributes |= MOUNT_ATTR_RDONLY;
  }
  return mounts;
}

// Whether the file that the loader reads was changed in the container before, or is the image's.
CacheOwner owner_of_cache(const BuiltRootfs& built) {
  struct stat status {};
  if (!built.upper) return CacheOwner::container;
  return ::fstatat(built.upper.get(), k_ld_cache + 1, &status, AT_SYMLINK_NOFOLLOW) == 0 ? CacheOwner::container
                                                                                         : CacheOwner::image;
}

struct AppliedEdits {
  std::vector<EnvironmentEdit> environment;
  std::vector<std::string> made;
};

AppliedEdits apply_edits(const ContainerSpec& spec, const std::vector<OpenMount>& mounts, Rootfs& rootfs,
                         const LoaderPlace& place) {
  const std::size_t before = rootfs.made().size();
  apply_mounts(mounts, rootfs, place.scratch);
  AppliedEdits applied;
  applied.environment = show_to_loader(spec.edits.loader, rootfs, place, spec.hooks.environment, spec.fallback.tell);
  applied.made.assign(rootfs.made().begin() + static_cast<std::ptrdiff_t>(before), rootfs.made().end());
  return applied;
}

}  // namespace

BuiltContainer build_container(const ContainerSpec& spec, const ContainerServer& server) {
  if (::unshare(CLONE_NEWNS | spec.own_namespaces) != 0) throw SysError("cannot make the container's namespaces");
  receive_mount_events_only();
  if ((spec.own_namespaces & CLONE_NEWNET) != 0) bring_up_loopback();

  ImageTrees images(spec, server);
  RootfsBase base = open_base(spec, images);
  const std::size_t stacked = std::accumulate(spec.stacks.begin(), spec.stacks.end(), spec.layers);
  const auto mounts = open_mounts(as_accessible(spec.mounts, spec.access),
                                  [&](std::size_t number) { return images.open(stacked + number); });
  const auto edits = open_mounts(spec.edits.mounts, {});
  const std::size_t opened = stacked + squashfs_files(spec.mounts).size();
  const auto later_mounts = open_mounts(as_accessible(spec.mounts_after_hooks, spec.access),
                                        [&](std::size_t number) { return images.open(opened + number); });
  const Fd scratch = make_scratch(spec.scratch);
  BuiltRootfs built = make_rootfs(spec, std::move(base), images, scratch);
  std::vector<Fd> stacks = make_stacks(spec, images, scratch);
  if (images.must_hold()) server.hold(scratch, images.in_use());
  attach_tree(built.tree, scratch.get(), ".");
  Rootfs rootfs(std::move(built.tree));

  Fd files = open_file(fmt::format("/proc/self/fd/{}/files", scratch.get()), O_PATH | O_DIRECTORY);
  apply_mounts(mounts, rootfs, files.get());
  AppliedEdits applied =
      apply_edits(spec, edits, rootfs,
                  {.change = spec.access == RootfsAccess::read_only ? CacheChange::cover : CacheChange::replace,
                   .owner = spec.edits.loader.libraries.empty() ? CacheOwner::image : owner_of_cache(built),
                   .scratch = files.get()});
  run_device_hooks(spec.edits.hooks, {.rootfs = spec.scratch,
                                      .directory = spec.hooks.place,
                                      .timeout = spec.hooks.timeout,
                                      .output = spec.hooks.output});
  HookResults hooked = run_hooks(spec.hooks, spec.scratch);
  apply_mounts(open_mounts(std::move(hooked.mounts), {}), rootfs, files.get());
  // Before the user's own mounts: one on /etc may be a directory of the host's, where nothing is to be made.
  if (spec.user_entries == UserEntries::add) {
    apply_mounts(open_mounts(user_entries(rootfs, spec.host, spec.identity), {}), rootfs, files.get());
  }
  apply_mounts(later_mounts, rootfs, files.get());
  if (spec.access == RootfsAccess::read_only) add_attributes(rootfs.fd(), MOUNT_ATTR_RDONLY);
  change_root(scratch, rootfs);
  std::vector<EnvironmentEdit> environment = std::move(applied.environment);
  environment.insert(environment.end(), std::make_move_iterator(hooked.environment.begin()),
                     std::make_move_iterator(hooked.environment.end()));
  return {std::move(built.upper), std::move(environment), std::move(applied.made), std::move(stacks), std::move(files)};
}

}  // namespace mlctr::runtime
