// mlctr rm
#include <fmt/format.h>

#include "app/remove_container.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

struct RemoveContainerOptions {
  std::vector<std::string> names;
  InUse in_use = InUse::refuse;
};

// Removes what it can: one bad name among many must not save the others. The first failure is thrown, the others are
// said.
int remove_all(const RemoveContainerOptions& options) {
  const Configuration configuration = load_configuration();
  std::exception_ptr failure;
  for (const std::string& name : options.names) {
    try {
      remove_container(configuration, name, options.in_use);
      print(fmt::format("removed {}\n", name));
    } catch (const Error& error) {
      if (failure)
        say(fmt::format("error: {}", printable(error.message(), 8192)));
      else
        failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace

void add_rm(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<RemoveContainerOptions>();
  CLI::App* command = program.add_subcommand("rm", "Remove named containers and what was changed in them");
  command->group(k_containers_group);
  command->add_option("NAME", options->names, "Containers")->type_name("")->required();
  command->add_flag_callback(
      "--force,-f", [options] { options->in_use = InUse::end_processes; },
      "End the processes in it: SIGTERM, then SIGKILL");
  command->footer("The image stays: rmi removes images.\n");
  command->final_callback([options, &chosen] { chosen = [options] { return remove_all(*options); }; });
}

}  // namespace mlctr::cli
