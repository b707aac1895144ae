// mlctr step, which Slurm's tasks run: started by `mlctr srun`, or by the plugin
//   run [--container-…] [--] COMMAND    joins the step's container and becomes the command
//                                       with --container-save, the last one to end saves
//   enter --socket FD [--container-…] [-- COMMAND]
//                                       hands the way into it over to the plugin (spank/hand_off.h)
//   save [--container-…]                --container-save, for the plugin: a task has ended; the last one's saves
//   list                                prints the containers of this node's steps, for `mlctr ps --slurm` elsewhere
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>

#include "app/exec_container.hpp"
#include "app/failed_nodes.hpp"
#include "app/hand_off.hpp"
#include "app/join_step.hpp"
#include "app/save_container.hpp"
#include "app/save_step.hpp"
#include "app/slurm_containers.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/import_image.hpp"
#include "cli/output.hpp"
#include "cli/run_options.hpp"
#include "cli/signals.hpp"
#include "cli/step_request.hpp"

namespace mlctr::cli {
namespace {

// Tasks of one step start within a second of each other; a pull that fails may take longer on one node.
constexpr std::chrono::milliseconds k_patience_with_nodes{1500};

struct StepWords {
  std::vector<GivenOption> options;
  std::string socket;                ///< --socket: a descriptor's number
  std::vector<std::string> scripts;  ///< --script: files of the host's that the container shows in their places
  bool is_quiet = false;             ///< --quiet: srun's own, as far as it is known here
  std::vector<std::string> command;
};

bool takes(const std::vector<std::string>& words, std::size_t at, std::string_view option) {
  return words[at] == option && at + 1 < words.size();
}

// words[0] is the verb.
StepWords parse_words(const std::vector<std::string>& words) {
  StepWords parsed;
  std::size_t at = 1;
  while (at < words.size() && words[at].starts_with('-') && words[at] != "--") {
    if (auto taken = take_container_option(words, at)) {
      parsed.options.push_back(std::move(taken->given));
      at += taken->words;
    } else if (takes(words, at, "--socket")) {
      parsed.socket = words[at + 1];
      at += 2;
    } else if (words[at] == "--quiet") {
      parsed.is_quiet = true;
      ++at;
    } else if (takes(words, at, "--script")) {
      parsed.scripts.push_back(words[at + 1]);
      at += 2;
    } else {
      throw UsageError(fmt::format("mlctr step: no such option: {}", printable(words[at])));
    }
  }
  if (at < words.size() && words[at] == "--") ++at;
  parsed.command.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return parsed;
}

// What Slurm keeps in its spool directory for the task to run (pyxis shows it as well).
runtime::Mount mount_of(const std::string& script) {
  return {.source = runtime::BindMount{script}, .target = script, .attributes = 0};
}

// What the settings say where neither an option nor a variable does.
void add_scope(std::vector<GivenOption>& options, ContainerScope scope) {
  const std::string_view name = "container-scope";
  const auto has_name = [&](const GivenOption& given) { return given.option->name == name; };
  if (scope == ContainerScope::global || std::ranges::any_of(options, has_name)) return;
  options.push_back(std::move(take_container_option({"--container-scope=job"}, 0)->given));
}

StepRequest make_request(StepWords words, const Configuration& configuration, const SlurmStep& step,
                         const runtime::Host& host) {
  for (GivenOption& option : options_of_variables(host.environment, words.options)) {
    words.options.push_back(std::move(option));
  }
  add_scope(words.options, configuration.container_scope);
  StepRequest request = make_step_request(words.options, step, host);
  for (const std::string& script : words.scripts) request.mounts.push_back(mount_of(script));
  request.command = std::move(words.command);
  const Verbosity verbosity = words.is_quiet || configuration.is_step_quiet ? Verbosity::quiet : Verbosity::normal;
  request.find_image = [&configuration, step, verbosity](const std::string& image) {
    return import_image(configuration, step, image, verbosity);
  };
  request.tell = [](const std::string& line) { say(line); };
  return request;
}

Fd parse_socket(const std::string& text) {
  int fd = -1;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (mistake != std::errc{} || end != text.data() + text.size() || fd < 0 || ::fcntl(fd, F_GETFD) < 0) {
    throw UsageError("mlctr step enter: --socket takes the number of an open descriptor");
  }
  return Fd(fd);
}

// A failure that has its nodes in front already.
class FailureOnNodes : public Error {
 public:
  using Error::Error;
};

// What nodes that share a store run into is told once, with their names.
StepEntry join(const StepRequest& request, const Configuration& configuration, const runtime::Host& host) try {
  return join_step(configuration, request, host);
} catch (const Cancelled&) {
  throw;
} catch (const Error& error) {
  const auto nodes = nodes_that_failed(configuration.store / "tmp", request.step, error.message(), request.step.nodes,
                                       k_patience_with_nodes);
  if (nodes.empty()) throw StepFailed{};
  FailureOnNodes failure(error.message(), error.hint());
  if (!request.step.node.empty()) failure.add_context(fold_node_names(nodes));
  throw failure;
}

int enter(const StepWords& words, const StepRequest& request, const Configuration& configuration,
          const runtime::Host& host) {
  const Fd socket = parse_socket(words.socket);
  hand_off(socket, join(request, configuration, host), host);
  return 0;
}

// What every node of a step would write, on one line each.
int save(const StepRequest& request, const Configuration& configuration) {
  read_files_as_owner();
  ProgressBoard board;
  std::uint64_t bytes = 0;
  run_stoppable([&](std::stop_token stop) { bytes = save_step(configuration, request, board, std::move(stop)); },
                "nothing was written");
  say(fmt::format("saved the container in {} ({})", printable(request.save_as.string(), 4096), format_bytes(bytes)));
  return 0;
}

int save_if_last(const StepRequest& request, const Configuration& configuration) {
  return is_last_of_step(request) ? save(request, configuration) : 0;
}

// This process stays out of the container, as it has work left there, and keeps nothing of it open.
runtime::ProgramEnd run_beside(const StepRequest& request, const Configuration& configuration,
                               const runtime::Host& host) {
  const StepEntry entry = join(request, configuration, host);
  return runtime::supervise([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills mlctr means the program
    ::_exit(runtime::shell_exit_code(run_inside(entry.container, entry.program)));
  });
}

// Where the program failed as well, that is what the step fails with.
int run_and_save(const StepRequest& request, const Configuration& configuration, const runtime::Host& host) {
  const runtime::ProgramEnd end = run_beside(request, configuration, host);
  try {
    save_if_last(request, configuration);
  } catch (const Cancelled&) {
    throw;
  } catch (const Error& error) {
    if (runtime::shell_exit_code(end) == 0) throw;
    say(fmt::format("error: {}: {}", request.step.node, printable(error.in_one_line(), 4096)));
  }
  return end_as(end);
}

int run(const StepRequest& request, const Configuration& configuration, const runtime::Host& host) {
  if (!request.save_as.empty()) return run_and_save(request, configuration, host);
  const StepEntry entry = join(request, configuration, host);
  return end_as(run_inside(entry.container, entry.program));
}

int step(const std::vector<std::string>& words) {
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "list") {
    print(to_lines(name_of_node(), list_node_containers()));
    return 0;
  }
  if (verb != "run" && verb != "enter" && verb != "save") {
    throw UsageError("mlctr step: run, enter or save?", "`mlctr srun --help` tells how to use containers with Slurm");
  }
  const runtime::Host host = runtime::look_at_host(runtime::UserNames::left_out);
  const SlurmStep slurm = look_at_slurm_step(host.environment);
  try {
    const StepWords parsed = parse_words(words);
    const Configuration configuration = load_configuration();
    StepRequest request = make_request(parsed, configuration, slurm, host);
    request.of_task = [&](const runtime::Host& task) { return make_request(parsed, configuration, slurm, task); };
    if (verb == "run") return run(request, configuration, host);
    return verb == "save" ? save_if_last(request, configuration) : enter(parsed, request, configuration, host);
  } catch (const StepFailed&) {
    return k_own_failure;
  } catch (const FailureOnNodes&) {
    throw;
  } catch (Error& error) {
    if (!slurm.node.empty()) error.add_context(slurm.node);
    throw;
  }
}

}  // namespace

void add_step(CLI::App& program, Action& chosen) {
  CLI::App* command =
      program.add_subcommand("step", "Join the container of a Slurm step (mlctr srun and the plugin do)");
  command->group("");  // hidden
  command->prefix_command();
  command->final_callback([command, &chosen] { chosen = [words = command->remaining()] { return step(words); }; });
}

}  // namespace mlctr::cli
