// --container-save: mlctr writes the step's container once its last task has ended.
#pragma once

#include <linux/limits.h>

#include <array>
#include <cstdint>

#include "spank/descriptor.hpp"
#include "spank/failure.hpp"
#include "spank/given_options.hpp"
#include "spank/plugin_settings.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// One for a step on a node. Tasks are processes of their own: those that got into the container say so through a pipe.
class StepSave {
 public:
  /// In user_init, whose working directory is the job's.
  Failure begin();
  bool is_wanted() const { return static_cast<bool>(joined_); }
  /// In a task that has joined.
  void count_joined() const;
  /// In task_exit, as root. Does the work in the call for the last task: when it returns the file is whole. Says
  /// nothing where a task never got in, as that has been told.
  Failure end_task(spank_t spank, const PluginSettings& settings, const GivenOptions& given);

 private:
  bool have_all_joined(std::uint32_t tasks) const;
  Failure save(spank_t spank, const PluginSettings& settings, const GivenOptions& given) const;

  Descriptor joined_;
  Descriptor joining_;
  std::uint32_t ended_ = 0;
  std::array<char, PATH_MAX> directory_{};
};

}  // namespace mlctr::spank
