// The tasks of a step on this node as Slurm has them, its slurmstepd's children, and what they leave in a container
// when the last one has ended. Slurm ends that itself where it confines a step by cgroup; proctrack/linuxproc follows
// parents, and misses what a task started and left alone. Such a process would keep the container, and slurmstepd by
// the task's output that it holds open.
#pragma once

#include <sys/types.h>

#include "app/slurm_step.hpp"
#include "base/fd.hpp"

namespace mlctr {

class StepTasks {
 public:
  /// Where `keeper` is no slurmstepd there is nothing to watch: its children may come one after another.
  explicit StepTasks(pid_t keeper);

  /// To poll: readable once the task that is watched has ended; -1 where there is none.
  int fd() const noexcept { return watched_.get(); }

  /// Whether none is left; another one is watched otherwise.
  bool have_ended();

  /// Whether they are known to be all there will be.
  bool are_known() const noexcept { return is_slurms_; }

 private:
  pid_t keeper_;
  bool is_slurms_;
  Fd watched_;
};

/// Whose the programs in a container are.
enum class StepContainer { of_step, shared };

/// For the step's holder, inside the container, once no task is left: kills what they left, and waits for its end. In
/// one that is shared with other steps that is what has this one's environment and no slurmstepd above it any more.
void end_what_tasks_left(const SlurmStep& step, StepContainer container);

}  // namespace mlctr
