// What is asked of the hooks: by the user, by the image, by the job, by the settings. Facts only, looked up before.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hooks/driver_choices.hpp"
#include "runtime/base_container.hpp"
#include "runtime/environment.hpp"

namespace mlctr::hooks {

/// The settings of [gpu], [cdi] and their kin.
struct HookSettings {
  std::filesystem::path driver_root = "/";           ///< gpu.driver_root: a driver container's root, say
  std::filesystem::path device_root = "/";           ///< gpu.dev_root: where /dev is
  std::vector<std::filesystem::path> library_paths;  ///< gpu.library_paths: if any, then only these
  std::vector<std::filesystem::path> binary_paths;   ///< gpu.binary_paths: before PATH
  std::vector<std::filesystem::path> config_paths;   ///< gpu.config_paths: before /etc and /usr/share
  ForwardCompat forward_compat = ForwardCompat::automatic;
  DriverLayout driver_lib_layout = DriverLayout::own;
  std::vector<std::filesystem::path> cdi_directories{"/etc/cdi", "/var/run/cdi"};
  std::vector<std::filesystem::path> cdi_allowed_hooks;  ///< cdi.allowed_hooks: programs that CDI files may have run
};

struct HookRequest {
  std::optional<std::string> gpus;   ///< --gpus, as it was typed; absent: the image's NVIDIA_VISIBLE_DEVICES says
  std::vector<std::string> devices;  ///< --device, as typed: "vendor/class=name"
  /// The program's, as far as it is settled: --env over environ.d over the image over the host, each with its origin.
  runtime::Environment environment;
  /// The job's (the user's shell's, a Slurm task's), whole: SLURM_STEP_GPUS, CUDA_VISIBLE_DEVICES, PATH.
  runtime::Environment job;
  runtime::DeviceDirectory device_directory = runtime::DeviceDirectory::own;
  HookSettings settings;
};

}  // namespace mlctr::hooks
