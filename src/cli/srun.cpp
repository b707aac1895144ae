// mlctr srun
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "app/slurm_program.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/process.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"
#include "cli/srun_words.hpp"
#include "cli/step_request.hpp"
#include "runtime/host.hpp"

namespace mlctr::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* k_loop_guard = "MLCTR_SRUN_PID";  // whose value is the process that went through here already

bool is_script(const fs::path& program) {
  std::ifstream file(program,
                     std::ios::binary);  // one that can't be read is no script: its interpreter couldn't either
  return file.get() == '#' && file.get() == '!';
}

// A script named srun that runs `mlctr srun` would find itself for ever.
void guard_against_loop(const fs::path& srun) {
  if (!is_script(srun)) return;
  const std::string pid = std::to_string(::getpid());
  const char* last = std::getenv(k_loop_guard);
  if (last != nullptr && pid == last) {
    throw Error(fmt::format("{} runs mlctr srun, not Slurm's srun", printable(srun.string(), 4096)),
                "a link to mlctr named srun can stand first in PATH; a script must name Slurm's srun by its path");
  }
  ::setenv(k_loop_guard, pid.c_str(), 1);
}

// srun's own help follows.
void print_help() {
  Action none;
  const std::unique_ptr<CLI::App> program = make_program(none);
  print(command_help(*find_command(*program, "srun")) + "\n");
}

void tell_of_ineffective(const std::vector<std::string>& options) {
  if (options.empty()) return;
  say(fmt::format("ignoring {}: neither --container-image nor --container-name is given", fmt::join(options, ", ")));
}

// Each task would find it wrong as well, but only once the job has waited for its turn.
void check(const std::vector<SrunComponent>& components, const runtime::Host& host) {
  for (const std::vector<GivenOption>& container : asked_containers(components, host.environment)) {
    make_step_request(container, {}, host);
  }
}

TaskStarter find_task_starter() {
  const fs::path mlctr = fs::read_symlink("/proc/self/exe");
  const fs::path task = mlctr.parent_path() / "mlctr-task";
  return {.mlctr = mlctr, .task = ::access(task.c_str(), X_OK) == 0 ? task.string() : ""};
}

int run(const std::vector<std::string>& words) {
  const std::optional<fs::path> srun = find_slurm_program("srun");
  const auto ask_srun = [&srun] {
    if (!srun) return std::string();
    return run_process({.arguments = {srun->string(), "--help"}, .standard_input = {}}).standard_output;
  };
  const std::vector<SrunComponent> components = parse_srun_words(words, ask_srun);
  if (asks_for_help(components)) {
    print_help();
    if (!srun) return 0;
  }
  if (!srun) {
    throw Error("cannot find Slurm's srun in PATH",
                "mlctr srun runs it: on a cluster's login node, or with `module load slurm`, it is there");
  }
  guard_against_loop(*srun);
  const runtime::Host host = runtime::look_at_host();
  check(components, host);
  tell_of_ineffective(ineffective_options(components, host.environment));
  become_slurm_program(*srun, wrap_srun_words(components, host.environment, find_task_starter()));
}

}  // namespace

void add_srun(CLI::App& program, Action& chosen) {
  CLI::App* command = program.add_subcommand("srun", "Slurm's srun with --container-image and -name; no plugin needed");
  command->group(k_containers_group);
  for (const ContainerOption& option : k_container_options) {  // for help and completion: CLI11 never parses any
    const std::string name = fmt::format("--{}", option.name);
    if (option.argument == nullptr) {
      command->add_flag(name, option.help);
    } else {
      command->add_option(name)->description(option.help)->type_name(option.argument);
    }
  }
  command->footer(
      "All else is srun's, untouched: `srun --help` tells. Each option is a variable, too, for sbatch and salloc:\n"
      "MLCTR_CONTAINER_IMAGE=python:3.8. A link named srun to mlctr, first in PATH, makes srun mean mlctr srun.\n"
      "Example:\n"
      "  mlctr srun -N2 --container-image=python:3.8 --container-name=py38 python train.py\n");
  command->final_callback([&chosen] { chosen = make_srun_action({}); });
}

Action make_srun_action(std::vector<std::string> words) {
  return [words = std::move(words)] { return run(words); };
}

}  // namespace mlctr::cli
