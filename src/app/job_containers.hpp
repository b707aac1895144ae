// Named containers that end with a Slurm job: --container-scope=job.
#pragma once

#include <string>
#include <vector>

#include "store/container_store.hpp"

namespace mlctr {

/// The names of those whose job has ended. `ended`: a job of which Slurm's epilog knows that, and no other is looked
/// at; empty: Slurm is asked. None where it can't be.
std::vector<std::string> containers_of_ended_jobs(const ContainerStore& containers, const std::string& ended);

}  // namespace mlctr
