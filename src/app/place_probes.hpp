// Probes of the directories that a run uses: each is written to, as a run would.
#pragma once

#include "app/configuration.hpp"
#include "app/finding.hpp"

namespace mlctr {

/// Makes it where it is missing, as every run does.
Finding probe_runtime_directory();
Finding probe_store(const Configuration& configuration);
Finding probe_containers(const Configuration& configuration);

}  // namespace mlctr
