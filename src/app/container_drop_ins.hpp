// What the configuration directories add to every container: environment, mounts, hooks (DESIGN, Configuration).
#pragma once

#include <filesystem>
#include <vector>

#include "app/configuration.hpp"
#include "runtime/environment.hpp"
#include "runtime/fstab.hpp"
#include "runtime/host.hpp"

namespace mlctr {

struct ContainerDropIns {
  std::vector<runtime::EnvironmentEdit> environment;  ///< of environ.d/*.env, "${NAME}" put in from the host's
  runtime::FstabMounts mounts;                        ///< of mounts.d/*.fstab
  std::vector<std::filesystem::path> hooks;           ///< hooks.d/*.sh that can be executed, in the order to run them
  std::vector<std::string> warnings{};                ///< of what is left out, a line a file, to be told
};

/// `rootfs`: where hooks see the container's root, ${ENROOT_ROOTFS}. Throws Error that names the file, and the line.
ContainerDropIns read_container_drop_ins(const Configuration& configuration, const runtime::Host& host,
                                         const std::filesystem::path& rootfs);

/// What every hook finds in its environment beside ENROOT_ROOTFS and its kin: nothing of the image's, and of the user's
/// what names him, the job and the runtime. "NAME=VALUE".
std::vector<std::string> hook_variables(const runtime::Host& host);

}  // namespace mlctr
