// Runs a site's and a user's own programs on the host while a container is being made, as enroot does: in the
// container's user and mount namespaces, its root mounted and not yet entered. What they get:
//
//   ENROOT_PID      the process that becomes the container's program     | each as MLCTR_… too
//   ENROOT_ROOTFS   where the container's root is
//   ENROOT_ENVIRON  a file with the program's environment, to change (runtime/environment_file.hpp)
//   ENROOT_MOUNTS   an empty file for mounts to make once all have run (runtime/fstab.hpp)
//
// and besides what HookScripts::variables has; the directory is /, standard input and output are empty.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/environment.hpp"
#include "runtime/hook_process.hpp"
#include "runtime/mount.hpp"

namespace mlctr::runtime {

struct HookScripts {
  std::vector<std::filesystem::path> files{};  ///< in the order to run them; none: nothing is done at all
  std::filesystem::path place{};               ///< an empty directory of the user's, covered while they run
  std::vector<std::string> variables{};        ///< "NAME=VALUE"
  Environment environment{};                   ///< the program's so far
  std::chrono::seconds timeout{30};            ///< for each
  HookOutput output = HookOutput::as_it_is;
};

struct HookResults {
  std::vector<Mount> mounts{};
  std::vector<EnvironmentEdit> environment{};
};

/// One after the other. Throws Error that names the hook which failed or took too long. Of a hook's processes those in
/// its process group end with it.
HookResults run_hooks(const HookScripts& hooks, const std::filesystem::path& rootfs);

}  // namespace mlctr::runtime
