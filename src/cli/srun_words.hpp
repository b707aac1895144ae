// What `mlctr srun` makes of its command line: one that the real srun understands.
//
//   srun OPTIONS [CONTAINER-OPTIONS] COMMAND...  ->  OPTIONS [TASK] MLCTR step run CONTAINER-OPTIONS -- COMMAND...
//
// Components of a heterogeneous step ("… : …") each have their own; one that asks for nothing is in the container of
// those before it, as it is with the plugin.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/container_options.hpp"
#include "cli/srun_options.hpp"

namespace mlctr::cli {

struct SrunComponent {
  std::vector<std::string> words;    ///< srun's, as they were written, "--" included
  std::vector<std::string> options;  ///< the long names of those
  std::vector<GivenOption> container;
  std::vector<std::string> command;  ///< empty: it runs the next one's
};

/// Throws UsageError: an unknown container option, one without its argument.
std::vector<SrunComponent> parse_srun_words(const std::vector<std::string>& words, const SrunHelp& help);

/// Whether they ask for no command, but for words about srun itself: --help, --usage.
bool asks_for_help(const std::vector<SrunComponent>& components);

/// What Slurm is to start tasks with: paths that the nodes have as well.
struct TaskStarter {
  std::string mlctr;
  std::string task;  ///< mlctr-task, which lets later tasks of a node in (spank/task.cpp); empty where there is none
};

/// The real srun's words. `environment` is the job's, "NAME=VALUE". Throws UsageError.
std::vector<std::string> wrap_srun_words(std::vector<SrunComponent> components,
                                         const std::vector<std::string>& environment, const TaskStarter& starter);

/// Of each component that asks for a container, all that is said about it.
std::vector<std::vector<GivenOption>> asked_containers(const std::vector<SrunComponent>& components,
                                                       const std::vector<std::string>& environment);

/// The options given without effect, as nothing names a container: "--container-mounts".
std::vector<std::string> ineffective_options(const std::vector<SrunComponent>& components,
                                             const std::vector<std::string>& environment);

}  // namespace mlctr::cli
