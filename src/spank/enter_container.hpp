// What happens in a task before its program: mlctr prepares the container, the task joins it.
#pragma once

#include "spank/failure.hpp"
#include "spank/given_options.hpp"
#include "spank/plugin_settings.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// For task_init(). Where it is not inside the task must end. `wrongly_installed` is the same for all tasks of the
/// node, so that one may tell; what ended as `failed_and_told` has no text.
struct Entered {
  enum class Outcome { inside, wrongly_installed, failed, failed_and_told } outcome;
  Failure failure;
};

Entered enter_container(spank_t spank, const PluginSettings& settings, const GivenOptions& given);

}  // namespace mlctr::spank
