// The environment that the task's program will get.
#pragma once

#include "spank/failure.hpp"
#include "spank/hand_off.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// The job's, or this task's; null where Slurm has none. Not the caller's; goes with the next change of it.
char** job_environment(spank_t spank);

/// Makes it exactly what the records say.
Failure replace_environment(spank_t spank, const MappedRecords& records);

}  // namespace mlctr::spank
