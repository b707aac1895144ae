// What every container has besides its image: /proc, /sys, a private /dev, /run, /tmp, a few files of /etc, the user's
// home and current directory. Pure: facts in, a plan out. Source: what enroot's default fstab and hooks and crun give.
#pragma once

#include <string>
#include <vector>

#include "runtime/host.hpp"
#include "runtime/identity.hpp"
#include "runtime/mount.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::runtime {

enum class DeviceDirectory { own, hosts };  ///< /dev: a minimal one, or the host's whole
enum class HomeMount { yes, no };

struct BaseOptions {
  int own_namespaces = 0;  ///< CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS
  DeviceDirectory devices = DeviceDirectory::own;
  HomeMount home = HomeMount::yes;
};

std::vector<Mount> base_container(const Host& host, const BaseOptions& options);

/// Whether the directory the user stands in is there in the container: not where it is in /usr, /opt, /var …, whose
/// content is the image's to give, or in a home that is not mounted.
bool sees_current_directory(const Host& host, const BaseOptions& options);

/// Files that give the container's user a name, where the image's user database has none for the ids.
std::vector<Mount> user_entries(const Rootfs& rootfs, const Host& host, const Identity& identity);

}  // namespace mlctr::runtime
