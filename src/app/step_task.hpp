// The tasks of a Slurm step that run in a container, as others find them there.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// "NAME=VALUE" each, as it was when the process's program began; empty where it has ended, is not ours to look at, or
/// becomes another program this moment.
std::vector<std::string> environment_of(pid_t pid);

/// The same of the step's first task among `pids`, empty where none can be looked at (any more). `step_key`:
/// slurm_step.hpp's key_of().
std::vector<std::string> environment_of_first_task(std::string_view step_key, const std::vector<pid_t>& pids);

/// Whether an environment is that of a task of the step.
bool is_task_of(std::string_view step_key, const std::vector<std::string>& environment);

}  // namespace mlctr
