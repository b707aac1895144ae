// A Slurm job step as one of its tasks finds it on its node: what the task's environment and ancestors say.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace mlctr {

struct SlurmStep {
  std::string job;           ///< "1234"
  std::string step;          ///< "0"; "batch" for a batch script
  std::string restart;       ///< how often the job was requeued: "0"
  std::string node;          ///< as Slurm calls it; empty where it does not say
  unsigned nodes = 1;        ///< of the step
  unsigned local_tasks = 1;  ///< of the step, on this node
  /// Ends with the step on this node: its slurmstepd; where the task has no such ancestor, who started it.
  pid_t keeper = 0;
};

/// `environment`: "NAME=VALUE" each. Throws UsageError where it is no task's.
SlurmStep look_at_slurm_step(const std::vector<std::string>& environment);

/// No other step that runs on this node has it; nor has the other half of a heterogeneous one, whose ids are the same.
std::string key_of(const SlurmStep& step);

/// As `mlctr ps` shows the step's unnamed container: "1234.0".
std::string container_id_of(const SlurmStep& step);

/// Whether a process is the one that Slurm starts and keeps a step's tasks with.
bool is_slurmstepd(pid_t pid);

/// How many tasks a node has, of "2(x3),1" (SLURM_STEP_TASKS_PER_NODE); 1 where that does not say.
unsigned tasks_of_node(const std::string& tasks_per_node, unsigned node);

}  // namespace mlctr
