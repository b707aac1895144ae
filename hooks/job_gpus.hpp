// What of its node's GPUs a Slurm step was given, as Slurm tells it: of any vendor's.
#pragma once

#include <optional>
#include <vector>

#include "runtime/environment.hpp"

namespace mlctr::hooks {

/// Numbers of SLURM_STEP_GPUS (else SLURM_JOB_GPUS): global ones, those of the nodes' names. Absent where there is no
/// such step. Empty, and so nothing is to be seen, where the variable can't be read: a name in it, say.
std::optional<std::vector<unsigned>> gpus_of_step(const runtime::Environment& job);

}  // namespace mlctr::hooks
