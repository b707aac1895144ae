#include "app/list_containers.hpp"

#include <algorithm>
#include <tuple>

#include "app/run_target.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/process_table.hpp"
#include "store/allocation.hpp"

namespace mlctr {
namespace {

struct Answered {
  std::string socket;
  RunningContainer container;
};

std::vector<Answered> ask_all(const RuntimeDirectory& directory, std::vector<BrokenEntry>& broken) {
  std::vector<Answered> answered;
  for (const std::string& socket : runtime::list_container_sockets(directory.sockets)) {
    try {
      auto container = look_at_running(directory, socket);
      // Without processes it is about to end.
      if (container && !container->pids.empty()) answered.push_back({socket, std::move(*container)});
    } catch (const Error& error) {
      broken.push_back({directory.sockets / socket, error.message()});
    }
  }
  return answered;
}

// The first program's, or where that has ended one's that runs.
std::vector<std::string> living_command(const RunningContainer& container) {
  if (container.first_program == RunningContainer::FirstProgram::ended) {
    for (const pid_t pid : container.pids) {
      if (auto command = runtime::command_of(pid); !command.empty()) return command;
    }
  }
  return container.command;
}

ListedContainer listed(const Answered& answered) {
  const RunningContainer& container = answered.container;
  return {.id = container.name.empty() ? id_of_unnamed(answered.socket) : container.name,
          .name = container.name,
          .image = container.image,
          .command = living_command(container),
          .pids = container.pids,
          .started_at = container.started_at};
}

void add_stored(const ContainerStore& store, const std::vector<Answered>& running, ContainerOverview& overview) {
  ContainerListing listing = store.list();
  overview.broken.insert(overview.broken.end(), listing.broken.begin(), listing.broken.end());
  for (const StoredContainer& stored : listing.containers) {
    const std::string& name = stored.record.name;
    const auto found = std::ranges::find(running, socket_name(store.root(), name), &Answered::socket);
    if (found == running.end()) overview.containers.push_back({.id = name, .name = name, .image = stored.record.image});
    ListedContainer& container =
        found == running.end() ? overview.containers.back() : overview.containers[found - running.begin()];
    container.created_at = stored.record.created_at;
    container.changes_bytes = allocated_bytes_below(stored.upper);
  }
}

}  // namespace

ContainerOverview list_containers(const Configuration& configuration, ListedContainers which) {
  const RuntimeDirectory directory = open_runtime_directory();
  remove_dead_sockets(directory);
  remove_dead_step_sockets();
  ContainerOverview overview;
  const std::vector<Answered> running = ask_all(directory, overview.broken);
  for (const Answered& answered : running) overview.containers.push_back(listed(answered));
  if (which == ListedContainers::all) add_stored(open_containers(configuration), running, overview);
  std::ranges::sort(overview.containers, {}, [](const ListedContainer& container) {
    return std::tuple(container.name.empty(), container.name, container.id);
  });
  return overview;
}

}  // namespace mlctr
