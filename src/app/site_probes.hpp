// What the machine has beside: GPUs and Slurm. Nothing of it is needed for a run.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/finding.hpp"

namespace mlctr {

Finding probe_gpu();
Finding probe_slurm();

/// "550.54.15", from the text of /proc/driver/nvidia/version; empty where it has none.
std::string nvidia_driver_version(std::string_view text);

/// The plugins that plugstack.conf(5) (spank(7)) names, those of included files too.
std::vector<std::string> spank_plugins(const std::filesystem::path& plugstack);

}  // namespace mlctr
