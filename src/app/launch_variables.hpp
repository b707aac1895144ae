// What MPI needs in the container of a Slurm task, beside what Slurm gives it. Pure but for a look at directories.
#pragma once

#include <string>
#include <vector>

#include "runtime/identity.hpp"
#include "runtime/mount.hpp"

namespace mlctr {

/// The directories in which Slurm's PMIx server waits for the tasks, at their places on the host.
std::vector<runtime::Mount> pmix_mounts(const std::vector<std::string>& environment);

/// "NAME=VALUE" each: PMIx's settings by the names that its later versions read. What `environment` (the task's) or the
/// image sets, even to nothing, is left alone.
std::vector<std::string> pmix_variables(const std::vector<std::string>& environment,
                                        const std::vector<std::string>& image_environment);

/// What a step's first task is to tell for all; empty: nothing. A PMIx client says to its server who it is, its user id
/// as it is inside (psec/native), and the server expects the job's; the other methods a server must have been built
/// with, and told to use.
std::string pmix_obstacle(const std::vector<std::string>& environment, runtime::Remap remap);

}  // namespace mlctr
