// mlctr exec
#include <fmt/format.h>

#include "app/exec_container.hpp"
#include "app/slurm_containers.hpp"
#include "app/slurm_program.hpp"
#include "app/slurm_queue.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/exec_on_node.hpp"
#include "cli/run_options.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {
namespace {

struct ExecOptions {
  std::shared_ptr<RunOptions> run = std::make_shared<RunOptions>();
  std::vector<std::string> words;  // the container, then the command
  enum class Identity { containers, chosen } identity = Identity::containers;
  std::string node;
};

// Those given, for mlctr exec on another node: an --env NAME reaches it with srun's environment.
std::vector<std::string> given_words(const ExecOptions& options) {
  std::vector<std::string> words;
  for (const std::string& entry : options.run->environment) words.push_back("--env=" + entry);
  for (const std::string& file : options.run->environment_files) words.push_back("--env-file=" + file);
  const std::string& directory = options.run->request.working_directory;
  if (!directory.empty()) words.push_back("--workdir=" + directory);
  if (options.identity == ExecOptions::Identity::chosen) {
    words.emplace_back(options.run->request.remap == runtime::Remap::root ? "--remap-root" : "--no-remap-root");
  }
  return words;
}

int exec(const ExecOptions& options) {
  const RunWords words = split_run_words(
      options.words, "exec", UsageError("mlctr exec: in which container?", "`mlctr ps` lists those that run"));
  const runtime::Host host = runtime::look_at_host();
  const RunRequest run = make_run_request(*options.run, host);
  ExecRequest request{
      .command = words.command, .environment = run.environment, .working_directory = run.working_directory};
  if (has_terminal()) request.prompt = Prompt::named;
  if (options.identity == ExecOptions::Identity::chosen) request.remap = run.remap;
  const bool may_be_elsewhere = is_slurm_step(words.target);
  if (!options.node.empty() && !may_be_elsewhere) {
    throw UsageError(fmt::format("mlctr exec --node: {} is no Slurm job", printable(words.target)),
                     "it goes with a job's or a step's id: mlctr exec --node n2 1234.0 COMMAND");
  }
  if (options.node.empty() || options.node == name_of_node()) {
    try {
      return end_as(exec_container(load_configuration(), words.target, request, host));
    } catch (const NotRunningHere& error) {
      if (!may_be_elsewhere || !find_slurm_program("srun")) throw;
      try {
        exec_on_node(words.target, options.node, given_words(options), words.command);
      } catch (const SlurmUnreachable&) {
        throw NotRunningHere(error);  // a number need not be a job's
      }
    }
  }
  exec_on_node(words.target, options.node, given_words(options), words.command);
}

}  // namespace

void add_exec(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* command = program.add_subcommand("exec", "Run one more program in a container that runs");
  command->group(k_containers_group);
  command->prefix_command();  // what follows the container is the program's
  add_program_options(*command, options->run);
  command
      ->add_option("--node", options->node, "Of a Slurm job, the node to enter (default: the first with a container)")
      ->type_name("NODE");
  command->footer(
      "PID: of any process in it; or a Slurm job's or step's id, 1234.0, wherever it\n"
      "runs. Without a COMMAND: a shell. It sees the container's files, mounts and\n"
      "processes; environment, directory and user are those of the program that started\n"
      "the container (of a step: its first task's environment), but for the options.\n");
  command->final_callback([options, command, &chosen] {
    options->words = command->remaining();
    if (command->count("--remap-root") + command->count("--no-remap-root") > 0) {
      options->identity = ExecOptions::Identity::chosen;
    }
    chosen = [options] { return exec(*options); };
  });
}

}  // namespace mlctr::cli
