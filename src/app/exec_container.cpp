#include "app/exec_container.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <nlohmann/json.hpp>

#include "app/container_program.hpp"
#include "app/named_container.hpp"
#include "app/run_target.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/step_holder.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/join.hpp"

namespace mlctr {
namespace {

std::optional<pid_t> parse_pid(std::string_view text) {
  pid_t pid = 0;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return mistake == std::errc{} && end == text.data() + text.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

std::optional<runtime::Message> join(const RuntimeDirectory& directory, const std::string& socket) {
  auto answer = runtime::ask_container(directory.sockets, socket, runtime::k_join);
  return answer && !answer->fds.empty() ? std::move(answer) : std::nullopt;
}

std::optional<runtime::Message> join_container_of(const RuntimeDirectory& directory, pid_t pid) {
  for (const std::string& socket : runtime::list_container_sockets(directory.sockets)) {
    const auto container = look_at_running(directory, socket);
    if (container && std::ranges::find(container->pids, pid) != container->pids.end()) return join(directory, socket);
  }
  return std::nullopt;
}

// "1234.0", or "1234" for one of the job's.
std::optional<runtime::Message> join_step_of(const RuntimeDirectory& directory, std::string_view text) {
  for (const std::string& key : list_step_keys()) {
    if (!key.starts_with(fmt::format("{}.", text))) continue;
    const auto step = ask_step(key, runtime::k_join);
    if (!step || step->container_socket.empty()) continue;
    if (auto found = join(directory, step->container_socket)) return found;
  }
  return std::nullopt;
}

// A name goes first: a container may be called 4711.
runtime::Message find_running(const Configuration& configuration, std::string_view text) {
  const RuntimeDirectory directory = open_runtime_directory();
  const ContainerStore containers = open_containers(configuration);
  if (containers.has(text)) {
    auto found = ask_named_container(directory, containers, std::string(text), runtime::k_join);
    if (found && !found->fds.empty()) return std::move(*found);
    throw Error(fmt::format("the container {} is not running", text),
                fmt::format("`mlctr run {} COMMAND` starts it", text));
  }
  if (is_container_name(text)) {
    if (auto found = join(directory, unnamed_socket_name(text))) return std::move(*found);
  }
  if (auto found = join_step_of(directory, text)) return std::move(*found);
  const auto pid = parse_pid(text);
  if (!pid) require_container(configuration, text);  // throws, with the nearest name
  if (auto found = join_container_of(directory, *pid)) return std::move(*found);
  throw Error(fmt::format("no container of yours has a process {}", *pid), "`mlctr ps` lists those that run");
}

bool has_own_pids(const runtime::Message& answer) {
  const auto names = nlohmann::json::parse(answer.text).at("namespaces");
  return std::ranges::find(names, "pid") != names.end();
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
  const runtime::Message answer = find_running(configuration, text);
  return run_inside(answer, program_in(parse_description(answer.text), request, host));
}

}  // namespace mlctr
