// Applies a plan of mounts to a rootfs: what comes from the host is opened first, while the host's paths still mean
// what the user meant; then all is attached in the plan's order.
#pragma once

#include <functional>
#include <vector>

#include "base/fd.hpp"
#include "runtime/mount.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::runtime {

/// A mount whose source is at hand.
struct OpenMount {
  Mount mount;
  Fd tree{};  ///< of a bind or a squashfs file; empty for what is made on the spot
  NodeKind kind = NodeKind::directory;
};

/// In the plan's order, without those that may be missing and are. `mount_squashfs` is called with 1, 2 … for each
/// squashfs file of the plan. Throws Error that names the source.
std::vector<OpenMount> open_mounts(std::vector<Mount> plan, const std::function<Fd(std::size_t)>& mount_squashfs);

/// Files that are made lie in `scratch`, a directory of a mounted tmpfs of ours, under any names.
void apply_mounts(const std::vector<OpenMount>& mounts, Rootfs& rootfs, int scratch);

/// The squashfs files that a plan mounts, in the order open_mounts counts them.
std::vector<std::filesystem::path> squashfs_files(const std::vector<Mount>& plan);

}  // namespace mlctr::runtime
