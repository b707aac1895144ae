// Programs of the host's that a device's description (CDI) wants to be run while a container is being made: as OCI's
// runtimes run a container's createContainer hooks, its root mounted with the devices and not yet entered. What they
// get:
//
//   standard input   the container's state (OCI runtime-spec, runtime.md "State"); its bundle has a config.json that
//                    says where the root is, and nothing else
//   arguments        the description's own
//
// Nothing of the image's or the user's reaches them: no environment, the directory is /.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/hook_process.hpp"

namespace mlctr::runtime {

struct DeviceHook {
  std::filesystem::path file;            ///< on the host; who may change it was looked at
  std::vector<std::string> arguments{};  ///< from arguments[0] on; none: the file's path
  std::optional<std::chrono::seconds> timeout{};
  std::string origin{};  ///< "/etc/cdi/nvidia.yaml:12": for messages
};

struct DeviceHookPlace {
  std::filesystem::path rootfs;     ///< where the container's root is mounted
  std::filesystem::path directory;  ///< an empty one of the user's; covered from now on, in this mount namespace
  std::chrono::seconds timeout;     ///< for each; a hook's own where that is shorter
  HookOutput output;
};

/// One after the other; without any, nothing is done at all. Throws Error that names the hook which failed or took too
/// long.
void run_device_hooks(const std::vector<DeviceHook>& hooks, const DeviceHookPlace& place);

}  // namespace mlctr::runtime
