// mlctr exec
#include <fmt/format.h>

#include "app/exec_container.hpp"
#include "base/error.hpp"
#include "cli/commands.hpp"
#include "cli/run_options.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {
namespace {

struct ExecOptions {
  std::shared_ptr<RunOptions> run = std::make_shared<RunOptions>();
  std::vector<std::string> words;  // the container, then the command
  enum class Identity { containers, chosen } identity = Identity::containers;
};

int exec(const ExecOptions& options) {
  const RunWords words = split_run_words(
      options.words, "exec", UsageError("mlctr exec: in which container?", "`mlctr ps` lists those that run"));
  const runtime::Host host = runtime::look_at_host();
  const RunRequest run = make_run_request(*options.run, host);
  ExecRequest request{
      .command = words.command, .environment = run.environment, .working_directory = run.working_directory};
  if (has_terminal()) request.prompt = Prompt::named;
  if (options.identity == ExecOptions::Identity::chosen) request.remap = run.remap;
  return end_as(exec_container(load_configuration(), words.target, request, host));
}

}  // namespace

void add_exec(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* command = program.add_subcommand("exec", "Run one more program in a container that runs");
  command->group(k_containers_group);
  command->prefix_command();  // what follows the container is the program's
  add_program_options(*command, options->run);
  command->footer(
      "PID: of any process in it; or a Slurm job's or step's id: 1234.0. Without a COMMAND: a shell.\n"
      "It sees the container's files, mounts and processes; environment, directory and user are those of the\n"
      "program that started the container, but for what the options say.\n");
  command->final_callback([options, command, &chosen] {
    options->words = command->remaining();
    if (command->count("--remap-root") + command->count("--no-remap-root") > 0) {
      options->identity = ExecOptions::Identity::chosen;
    }
    chosen = [options] { return exec(*options); };
  });
}

}  // namespace mlctr::cli
