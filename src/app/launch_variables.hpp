// What MPI and PyTorch need in the container of a Slurm task, beside what Slurm gives it. Pure but for a look at a
// directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/mount.hpp"

namespace mlctr {

/// The directory in which Slurm's PMIx server waits for the tasks, at its place on the host.
std::vector<runtime::Mount> pmix_mounts(const std::vector<std::string>& environment);

/// "NAME=VALUE" each, of this task: PMIx's settings by the names that its later versions read; where the step has
/// several tasks, what torch.distributed's env:// reads (MASTER_ADDR, MASTER_PORT, WORLD_SIZE, RANK, LOCAL_RANK;
/// OMP_NUM_THREADS in PyTorch's images alone). What `environment` or the image has is left alone.
std::vector<std::string> launch_variables(const std::vector<std::string>& environment,
                                          const std::vector<std::string>& image_environment);

/// "rack[1-2]n[07,9],other" -> "rack1n07"
std::string first_host(std::string_view node_list);

}  // namespace mlctr
