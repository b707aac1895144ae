#include "runtime/container_rootfs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "runtime/container.hpp"
#include "runtime/fuse_mount.hpp"
#include "runtime/fuse_overlayfs.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/obstacle.hpp"
#include "runtime/overlay.hpp"

namespace mlctr::runtime {
namespace {

// Whatever the umask: one of these becomes the container's root.
void make_directory(const Fd& parent, const char* name) {
  if (::mkdirat(parent.get(), name, 0755) != 0 || ::fchmodat(parent.get(), name, 0755, 0) != 0)
    throw SysError(fmt::format("cannot make the directory {}", name));
}

// The lower directories of an overlay, images[first] the lowest, attached in `scratch`: where they lie from there, the
// uppermost first. Short names: the kernel takes 255 bytes.
std::string attach_lower(ImageTrees& images, const Fd& scratch, std::size_t first, std::size_t count) {
  std::string lower;
  for (std::size_t number = first; number < first + count; ++number) {
    const std::string name = fmt::format("{}", number);
    make_directory(scratch, name.c_str());
    attach_tree(images.mount(number), scratch.get(), name);
    lower = lower.empty() ? name : fmt::format("{}:{}", name, lower);
  }
  return lower;
}

// Names relative to it are the kernel's to look up.
void stand_in(const Fd& scratch) {
  if (::fchdir(scratch.get()) != 0) throw SysError("cannot enter the container's scratch directory");
}

std::string lower_of(const ContainerSpec& spec, ImageTrees& images, const Fd& scratch) {
  if (spec.layers == 0) return fmt::format("/proc/self/fd/{}/image", scratch.get());
  const std::string layers = attach_lower(images, scratch, 1, spec.layers);
  stand_in(scratch);
  return layers + ":image";
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

// Whether the kernel has overlays for us at all.
bool can_overlay(const Fd& scratch) {
  try {
    mount_empty_overlay(scratch);
    return true;
  } catch (const SysError&) {
    return false;
  }
}

bool can_overlay_at(const std::filesystem::path& place) {
  const Fd scratch = make_scratch(place);
  const bool can = can_overlay(scratch);
  ::umount2(place.c_str(), MNT_DETACH);
  return can;
}

// Its options take no path with ',' or ':' in it; a link's name has neither.
Fd mount_with_program(const ContainerSpec& spec, const Fd& scratch) {
  spec.fallback.before_fuse_overlayfs();
  FuseOverlay overlay{.scratch = spec.scratch, .upper = "upper", .work = "work"};
  if (const auto* kept = std::get_if<DirectoryUpper>(&spec.upper)) {
    overlay.upper = "kept-upper";
    overlay.work = "kept-work";
    if (::symlinkat(kept->upper.c_str(), scratch.get(), overlay.upper.c_str()) != 0 ||
        ::symlinkat(kept->work.c_str(), scratch.get(), overlay.work.c_str()) != 0) {
      throw SysError("cannot make a link to the container's upper directory");
    }
  }
  return mount_fuse_overlay(overlay, spec.identity);
}

// What was tried, and why the user hears of it.
std::string because(const Error& error, std::string_view instead) {
  return Error(fmt::format("{}: {}", error.message(), instead), error.hint()).in_one_line();
}

}  // namespace

Fd make_scratch(const std::filesystem::path& place) {
  Fd scratch = new_filesystem("tmpfs", {{"source", "mlctr"}, {"mode", "0700"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  attach_tree(scratch, AT_FDCWD, place.string());
  for (const char* name : {"image", "upper", "work", "files"}) make_directory(scratch, name);
  return scratch;
}

Fd ImageTrees::mount(std::size_t number) const {
  return server_.mount_image(number, spec_.identity);
}

Fd ImageTrees::unpack(std::size_t number) {
  return take(spec_.fallback.unpack(number), MOUNT_ATTR_RDONLY);
}

Fd ImageTrees::copy() {
  return take(spec_.fallback.copy(), 0);
}

Fd ImageTrees::take(UnpackedImage image, std::uint64_t attributes) {
  Fd tree = bind_tree(image.tree, attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, MS_PRIVATE);
  if (image.in_use) in_use_.push_back(std::move(image.in_use));
  has_directories_ = true;
  return tree;
}

Fd ImageTrees::open(std::size_t number) {
  try {
    return mount(number);
  } catch (const NoFuse& missing) {
    tell_once(because(missing, "unpacking what would be mounted instead"));
    return unpack(number);
  }
}

void ImageTrees::tell_once(const std::string& line) {
  if (!std::exchange(has_told_, true)) spec_.fallback.tell(line);
}

RootfsBase open_base(const ContainerSpec& spec, ImageTrees& images) {
  if (spec.copy == CopyState::present) {
    if (spec.choice == RootfsChoice::automatic || spec.choice == RootfsChoice::copy) return {RootfsChoice::copy, {}};
    throw Error("the container's files are in an unpacked copy of its image, which no overlay can use",
                "run.rootfs=auto (or copy) goes on with it");
  }
  switch (spec.choice) {
    case RootfsChoice::copy:
      return {RootfsChoice::copy, {}};
    case RootfsChoice::unpack:
      return {RootfsChoice::unpack, images.unpack(0)};
    case RootfsChoice::overlay:
    case RootfsChoice::fuse_overlayfs:
      return {spec.choice, images.mount(0)};
    case RootfsChoice::automatic:
      break;
  }
  try {
    return {RootfsChoice::overlay, images.mount(0)};
  } catch (const NoFuse& missing) {
    if (can_overlay_at(spec.scratch)) {
      images.tell_once(because(missing, "unpacking the image, once for all its containers, instead of mounting it"));
      return {RootfsChoice::unpack, images.unpack(0)};
    }
    images.tell_once(because(missing, "unpacking the image for this container, as there are no overlays either"));
    return {RootfsChoice::copy, {}};
  }
}

BuiltRootfs make_rootfs(const ContainerSpec& spec, RootfsBase base, ImageTrees& images, const Fd& scratch) {
  if (base.way == RootfsChoice::copy) return {images.copy(), {}};
  attach_tree(base.image, scratch.get(), "image");
  const UpperPaths paths = std::visit(FindUpper{scratch.get()}, spec.upper);
  Fd upper = open_file(paths.upper, O_RDONLY | O_DIRECTORY);
  if (base.way == RootfsChoice::fuse_overlayfs) return {mount_with_program(spec, scratch), std::move(upper)};
  try {
    return {mount_overlay({lower_of(spec, images, scratch), paths.upper, paths.work}), std::move(upper)};
  } catch (SysError& error) {
    if (error.errno_value() == ENOTCONN || error.errno_value() == ECONNABORTED) {
      throw Error("the container's server ended while the container was made",
                  "it may have met a limit: `ulimit -a` shows them (-v 0.3 GB or more, -u); then try again");
    }
    if (can_overlay(scratch)) {
      error.add_hint(upper_hint(paths));
      throw;
    }
    error.add_hint(why_no_overlay(error.errno_value()).hint());
    if (spec.choice != RootfsChoice::automatic) throw;
    if (!is_fuse_overlayfs_installed()) {
      images.tell_once(because(error, "unpacking the image for this container, as fuse-overlayfs is not installed"));
      return {images.copy(), {}};
    }
    images.tell_once(because(error, "using fuse-overlayfs"));
    return {mount_with_program(spec, scratch), std::move(upper)};
  }
}

std::vector<Fd> make_stacks(const ContainerSpec& spec, ImageTrees& images, const Fd& scratch) {
  std::vector<Fd> stacks;
  std::size_t first = 1 + spec.layers;
  for (const std::size_t count : spec.stacks) {
    const std::string lower = attach_lower(images, scratch, first, count);
    if (count > 1) {
      stand_in(scratch);
      attach_tree(mount_overlay({.lower = lower}), scratch.get(), fmt::format("{}", first));
    }
    stacks.push_back(open_file(fmt::format("/proc/self/fd/{}/{}", scratch.get(), first), O_PATH | O_DIRECTORY));
    first += count;
  }
  return stacks;
}

}  // namespace mlctr::runtime
