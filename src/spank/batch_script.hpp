// sbatch's script, which lies in slurmd's spool directory: outside of the container that it is to run in.
#pragma once

#include "spank/failure.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// In a batch step: opens the script and has Slurm run it by its descriptor. Nothing has to be mounted for it, so that
/// no empty file of it stays in a named container and one that runs already can be joined. Elsewhere does nothing.
Failure keep_batch_script(spank_t spank);

}  // namespace mlctr::spank
