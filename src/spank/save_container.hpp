// --container-save: mlctr writes the step's container once its last task has ended. Slurm asks a plugin about a task
// that has ended when it knows its exit code already, and a container that was not saved must not look like success: so
// the process that Slurm started stays outside, waits for the task, saves, and ends as that did or as the saving
// failed.
#pragma once

#include "spank/descriptor.hpp"
#include "spank/failure.hpp"
#include "spank/given_options.hpp"
#include "spank/plugin_settings.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// Whether it is asked for.
bool is_saved(const GivenOptions& given, char* const* environment);

/// In task_init, before the task goes into its container. Forks and returns in the child, which is the task from then
/// on; with nothing where no container is to be saved.
class SavedTask {
 public:
  SavedTask(spank_t spank, const PluginSettings& settings, const GivenOptions& given);

  const Failure& failure() const { return failure_; }
  /// The task is in the container: without this nothing is saved, as that has been told.
  void tell_joined();

 private:
  Failure failure_;
  Descriptor joined_;
};

}  // namespace mlctr::spank
