#include "app/step_container.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "app/container_nodes.hpp"
#include "app/container_place.hpp"
#include "app/create_container.hpp"
#include "app/failed_nodes.hpp"
#include "app/launch_variables.hpp"
#include "app/planned_container.hpp"
#include "app/remove_container.hpp"
#include "app/running_container.hpp"
#include "app/save_step.hpp"
#include "app/standby_server.hpp"
#include "app/step_entrypoint.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/join.hpp"

namespace mlctr {
namespace {

RunSubject of_container(const Configuration& configuration, StoredContainer container) {
  BaseImage image = base_image_of(configuration, container);
  return {.image = std::move(image), .container = std::move(container)};
}

[[noreturn]] void refuse_nothing_there(const Configuration& configuration, const std::string& name) {
  const std::vector<std::string> nodes = other_nodes_with_container(configuration, name);
  const std::string elsewhere = nodes.empty() ? "" : fmt::format(", though on {}", fold_node_names(nodes));
  const std::string go_there =
      nodes.empty() ? "" : fmt::format("--nodelist={} runs where it is, ", fold_node_names(nodes));
  throw Error(
      fmt::format("no container {} on this node{}, and no --container-image to make it from", name, elsewhere),
      go_there +
          fmt::format("--container-image=IMAGE --container-name={0} makes it, as `mlctr create --name {0} IMAGE` "
                      "does on the node",
                      name));
}

[[noreturn]] void refuse_not_running(const std::string& name) {
  throw Error(fmt::format("--container-name={0}:exec: the container {0} is not running", name),
              fmt::format("--container-name={} starts it", name));
}

// What a task has of its own must not reach what the container has for all (enroot's and pyxis's list).
runtime::Host without_task(const runtime::Host& host) {
  constexpr std::array<std::string_view, 6> k_of_task{
      "SLURM_PROCID=", "SLURM_LOCALID=", "SLURM_TASK_PID=", "PMIX_RANK=", "PMI_RANK=", "PMI_FD="};
  runtime::Host shared = host;
  std::erase_if(shared.environment, [&](const std::string& entry) {
    return std::ranges::any_of(k_of_task, [&](std::string_view name) { return entry.starts_with(name); });
  });
  return shared;
}

RunRequest run_request(const StepRequest& request, const runtime::Host& host) {
  RunRequest run{.command = request.command,
                 .remap = request.remap.value_or(runtime::Remap::none),
                 .access = request.access.value_or(runtime::RootfsAccess::read_write),
                 .mounts = pmix_mounts(host.environment),
                 .environment = request.environment,
                 .working_directory = request.working_directory,
                 .entrypoint = Entrypoint::none,
                 .tell = request.tell};
  run.mounts.insert(run.mounts.end(), request.mounts.begin(), request.mounts.end());
  run.base.home = request.home.value_or(runtime::HomeMount::yes);
  run.base.own_namespaces = request.own_namespaces;
  return run;
}

struct Namespace {
  int flag;
  const char* kind;
  const char* title;
};
constexpr std::array<Namespace, 3> k_namespaces{
    {{CLONE_NEWNET, "net", "network"}, {CLONE_NEWIPC, "ipc", "IPC"}, {CLONE_NEWUTS, "uts", "UTS"}}};

void check_namespaces(const StepRequest& request, const runtime::Message& running) {
  const auto there = nlohmann::json::parse(running.text).at("namespaces");
  for (const Namespace& space : k_namespaces) {
    if ((request.own_namespaces & space.flag) == 0 || std::ranges::find(there, space.kind) != there.end()) continue;
    throw Error(
        fmt::format("--container-unshare={}: the container {} runs already, and is not in a separate {} namespace",
                    space.kind, request.name, space.title));
  }
}

void tell_what_is_ignored(const StepRequest& request) {
  if (request.name.empty()) return;  // its own step's, whose options made it
  const auto tell = [&](const char* option) {
    request.tell(fmt::format("ignoring {} when attaching to a running container: {}", option, request.name));
  };
  if (!request.mounts.empty()) tell("--container-mounts");
  if (request.home) tell("--[no-]container-mount-home");
  if (request.access) tell("--container-writable and --container-readonly");
}

// Returns what keeps the server that stands by.
Fd join_running(const Configuration& configuration, const StepRequest& request, runtime::Message& running,
                const std::vector<int>& not_inherited) {
  if (request.name_use == NameUse::no_exec) {
    throw Error(fmt::format("--container-name={0}:no_exec: the container {0} is running", request.name),
                fmt::format("--container-name={} joins it", request.name));
  }
  check_namespaces(request, running);
  tell_what_is_ignored(request);
  Fd standby = start_standby_server(configuration, running, not_inherited);
  runtime::join_container(running, parse_description(running.text).remap);
  return standby;
}

void describe_step(RunningContainer& description, const StepRequest& request) {
  if (request.name.empty()) description.step = key_of(request.step);
  // Each task has its own.
  description.environment.clear();
  description.working_directory.clear();
}

void make(const Configuration& configuration, const RunSubject& subject, const StepRequest& request,
          const runtime::Host& host, runtime::ContainerSocket socket, const std::vector<int>& not_inherited) {
  runtime::Host shared = without_task(host);
  runtime::find_user_names(shared);
  const RunRequest run = run_request(request, shared);
  ImageConfig config;
  std::optional<PlannedContainer> plan;
  try {
    if (request.name_use == NameUse::exec) refuse_not_running(request.name);
    config = config_of(subject.image, shared);
    plan.emplace(configuration, subject, run, config, shared, open_runtime_directory());
  } catch (...) {
    socket.remove();  // no server will
    throw;
  }
  describe_step(plan->description(), request);
  const runtime::ContainerServer server =
      plan->start_server(std::move(socket), open_containers(configuration), not_inherited);
  runtime::enter_new_namespaces(plan->identity(), 0);
  runtime::Program program = plan->program();
  program.environment = plan->build(server, nullptr).entries();
  if (request.entrypoint == StepEntrypoint::none || config.entrypoint.empty()) return;
  program.command = config.entrypoint;
  plan->add_configured(server, run_entrypoint(std::move(program), request.entrypoint));
}

struct StepPlace {
  std::string socket;  // its name
  ContainerPlace place;
};

StepPlace place_of_named(const Configuration& configuration, const std::string& name) {
  const ContainerStore containers = open_containers(configuration);
  return {socket_name(containers.root(), name),
          claim_named(open_runtime_directory(), containers, name, runtime::k_stand_by)};
}

// The one that runs is this step's where its holder was killed; else it is of the other half of a heterogeneous step.
StepPlace place_of_unnamed(const SlurmStep& step) {
  const RuntimeDirectory directory = open_runtime_directory();
  const std::string id = container_id_of(step);
  ContainerPlace place = claim_unnamed(directory, id);
  const auto* running = std::get_if<runtime::Message>(&place);
  if (running == nullptr || parse_description(running->text).step == key_of(step)) {
    return {unnamed_socket_name(id), std::move(place)};
  }
  const std::string own = fmt::format("{}-{}", id, step.keeper);
  return {unnamed_socket_name(own), claim_unnamed(directory, own)};
}

}  // namespace

RunSubject find_step_subject(const Configuration& configuration, const StepRequest& request) {
  const std::string name = stored_name(request);
  if (name.empty()) return {.image = request.find_image(request.image)};
  check_container_name(name);
  const ContainerStore containers = open_containers(configuration);
  if (request.name.empty()) {
    for (const std::string& dead : dead_step_containers(containers)) {
      remove_idle_container(configuration, open_runtime_directory(), dead);
    }
  }
  if (auto container = containers.find(name)) {
    if (request.name_use != NameUse::create) return of_container(configuration, std::move(*container));
    throw Error(fmt::format("--container-name={0}:create: the container {0} exists already", request.name),
                fmt::format("`mlctr rm {}` on the node removes it", request.name));
  }
  if (request.name_use == NameUse::exec) refuse_not_running(request.name);  // what is not there is not to be made
  if (request.image.empty()) refuse_nothing_there(configuration, name);
  const BaseImage image = request.find_image(request.image);
  return of_container(configuration, find_or_create_container(configuration, image, name, request.job));
}

HeldContainer enter_step_container(const Configuration& configuration, const RunSubject& subject,
                                   const StepRequest& request, const runtime::Host& host,
                                   const std::vector<int>& not_inherited) {
  StepPlace found = subject.container ? place_of_named(configuration, subject.container->record.name)
                                      : place_of_unnamed(request.step);
  if (auto* running = std::get_if<runtime::Message>(&found.place)) {
    return {found.socket, join_running(configuration, request, *running, not_inherited)};
  }
  make(configuration, subject, request, host, std::move(std::get<runtime::ContainerSocket>(found.place)),
       not_inherited);
  return {found.socket};
}

}  // namespace mlctr
