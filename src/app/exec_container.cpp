#include "app/exec_container.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/container_program.hpp"
#include "app/named_container.hpp"
#include "app/run_target.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/step_holder.hpp"
#include "app/step_task.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/environment.hpp"
#include "runtime/join.hpp"

namespace mlctr {
namespace {

std::optional<pid_t> parse_pid(std::string_view text) {
  pid_t pid = 0;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return mistake == std::errc{} && end == text.data() + text.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

struct Found {
  std::string socket;       // its name; empty: a named container's
  runtime::Message answer;  // to "join"
  std::string step{};       // its key; empty: it was not found as a step's
};

std::optional<Found> join(const RuntimeDirectory& directory, const std::string& socket) {
  auto answer = runtime::ask_container(directory.sockets, socket, runtime::k_join);
  if (!answer || answer->fds.empty()) return std::nullopt;
  return Found{.socket = socket, .answer = std::move(*answer)};
}

std::optional<Found> join_container_of(const RuntimeDirectory& directory, pid_t pid) {
  for (const std::string& socket : runtime::list_container_sockets(directory.sockets)) {
    const auto container = look_at_running(directory, socket);
    if (container && std::ranges::find(container->pids, pid) != container->pids.end()) return join(directory, socket);
  }
  return std::nullopt;
}

// The steps of "1234", or the one that is "1234.0", by the sockets of their containers.
std::map<std::string, std::string> sockets_of_steps(std::string_view text) {
  std::map<std::string, std::string> keys;
  for (const std::string& key : list_step_keys()) {
    if (!key.starts_with(fmt::format("{}.", text))) continue;
    const auto step = ask_step(key, k_look);
    if (step && !step->container_socket.empty()) keys.emplace(step->container_socket, key);
  }
  return keys;
}

std::string step_of(const std::string& key) {
  return key.substr(0, key.find('.', key.find('.') + 1));
}

[[noreturn]] void refuse_several(std::string_view job, const std::map<std::string, std::string>& keys) {
  std::set<std::string> steps;
  for (const auto& [socket, key] : keys) steps.insert(step_of(key));
  throw Error(fmt::format("job {} has containers in several steps: {}", job, fmt::join(steps, ", ")),
              fmt::format("mlctr exec {} COMMAND enters that step's", *steps.begin()));
}

std::optional<Found> join_step_of(const RuntimeDirectory& directory, std::string_view text) {
  const std::map<std::string, std::string> keys = sockets_of_steps(text);
  if (keys.size() > 1 && text.find('.') == text.npos) refuse_several(text, keys);
  for (const auto& [socket, key] : keys) {
    auto found = join(directory, socket);
    if (!found) continue;
    found->step = key;
    return found;
  }
  return std::nullopt;
}

// A name goes first: a container may be called 4711.
Found find_running(const Configuration& configuration, std::string_view text) {
  const RuntimeDirectory directory = open_runtime_directory();
  const ContainerStore containers = open_containers(configuration);
  if (containers.has(text)) {
    auto found = ask_named_container(directory, containers, std::string(text), runtime::k_join);
    if (found && !found->fds.empty()) return {.socket = "", .answer = std::move(*found)};
    throw Error(fmt::format("the container {} is not running", text),
                fmt::format("`mlctr run {} COMMAND` starts it", text));
  }
  if (auto found = join_step_of(directory, text)) return std::move(*found);
  if (is_container_name(text)) {
    if (auto found = join(directory, unnamed_socket_name(text))) return std::move(*found);
  }
  const auto pid = parse_pid(text);
  if (pid) {
    if (auto found = join_container_of(directory, *pid)) return std::move(*found);
    throw NotRunningHere(fmt::format("no container of yours has a process {}", *pid),
                         "`mlctr ps` lists those that run");
  }
  // "1234", "1234.0"; of an array "1234_5", of a heterogeneous job "1234+1.0".
  if (text.find_first_not_of("0123456789_+") == text.find('.')) {
    throw NotRunningHere(fmt::format("no container of a step {} runs here", text), "`mlctr ps --slurm` lists them");
  }
  require_container(configuration, text);  // throws, with the nearest name
  throw Error(fmt::format("the container {} is not running", text));
}

// What a step's tasks have each of their own, its description does not tell.
std::vector<std::string> environment_of_step(const Found& found) {
  if (found.step.empty()) return {};
  const auto container = look_at_running(open_runtime_directory(), found.socket);
  return container ? environment_of_first_task(found.step, container->pids) : std::vector<std::string>();
}

bool has_own_pids(const runtime::Message& answer) {
  const auto names = nlohmann::json::parse(answer.text).at("namespaces");
  return std::ranges::find(names, "pid") != names.end();
}

// The task's, but for what is another's in this program: its home where it is another user inside, its prompt.
std::vector<std::string> as_task(const std::vector<std::string>& task, const std::vector<std::string>& programs,
                                 const std::vector<std::string>& asked_for) {
  constexpr std::array<std::string_view, 2> k_programs{"HOME", "debian_chroot"};
  runtime::Environment environment;
  environment.set_entries(task, "step");
  for (const std::string& entry : programs) {
    const auto is_its = [&](std::string_view name) { return runtime::is_entry_of(entry, name); };
    if (std::ranges::any_of(k_programs, is_its)) environment.set_entries({entry}, "exec");
  }
  environment.set_entries(asked_for, "--env");
  return environment.entries();
}

}  // namespace

runtime::Program program_in(const RunningContainer& container, const ExecRequest& request, const runtime::Host& host) {
  ImageConfig image;
  image.environment = container.image_environment;
  image.working_directory = container.image_directory;
  RunRequest run{
      .command = request.command,
      .remap = request.remap.value_or(container.remap),
      .mounts = request.mounts,
      .environment = container.environment,
      .working_directory = request.working_directory.empty() ? container.working_directory : request.working_directory,
      .entrypoint = Entrypoint::none,
      .container_name = container.name};
  if (request.prompt == Prompt::named) run.prompt_name = prompt_name_of(container.name, container.image);
  run.base.home = container.home;
  run.renumbered = container.renumbered;
  run.environment.insert(run.environment.end(), request.environment.begin(), request.environment.end());
  return {.command = container_command(run, image),
          .environment = container_environment(run, image, host, container.configured).entries(),
          .directories = working_directories(run, image, host),
          .remap = run.remap};
}

runtime::ProgramEnd run_inside(const runtime::Message& answer, const runtime::Program& program) {
  const bool only_children_belong = has_own_pids(answer);
  runtime::join_container(answer, program.remap);
  if (!only_children_belong) runtime::become(program);
  return runtime::supervise([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills mlctr means the program
    runtime::become(program);
  });
}

runtime::ProgramEnd exec_container(const Configuration& configuration, std::string_view text,
                                   const ExecRequest& request, const runtime::Host& host) {
  const Found found = find_running(configuration, text);
  runtime::Program program = program_in(parse_description(found.answer.text), request, host);
  if (const auto task = environment_of_step(found); !task.empty()) {
    program.environment = as_task(task, program.environment, request.environment);
  }
  return run_inside(found.answer, program);
}

}  // namespace mlctr
