// `mlctr ps --slurm`.
#pragma once

#include "cli/output.hpp"

namespace mlctr::cli {

/// The containers of Slurm steps, here and on the nodes of the user's running jobs. Nodes that did not answer are named
/// on standard error.
int list_slurm(Format format);

}  // namespace mlctr::cli
