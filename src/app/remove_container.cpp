#include "app/remove_container.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <variant>

#include "app/container_nodes.hpp"
#include "app/container_place.hpp"
#include "app/named_container.hpp"
#include "app/open_stores.hpp"
#include "app/run_target.hpp"
#include "app/running_container.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/process_table.hpp"

namespace mlctr {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto k_patience_with_sigterm = 3s;
constexpr auto k_patience_with_kernel = 5s;  // for the end of what was killed, and of a server whose container ended
constexpr auto k_check_every = 5ms;

// While it is held, no run of the container can start: the place to be its server is taken.
class HeldPlace {
 public:
  explicit HeldPlace(runtime::ContainerSocket socket) : socket_(std::move(socket)) {}
  HeldPlace(HeldPlace&&) = default;
  HeldPlace& operator=(HeldPlace&&) = delete;
  ~HeldPlace() { socket_.remove(); }

 private:
  runtime::ContainerSocket socket_;
};

// By descriptor: a pid may be another process's by the time the signal is sent.
void send_signal(const RunningContainer& container, int signal) {
  for (const pid_t pid : container.pids) {
    const Fd process = runtime::open_process(pid);
    if (process && runtime::namespace_id(pid, "mnt") == container.mount_namespace) {
      runtime::send_signal(process, signal);
    }
  }
}

struct NamedRemoval {
  const RuntimeDirectory& directory;
  const ContainerStore& containers;
  std::string name;
};

std::optional<RunningContainer> describe_if_there(const NamedRemoval& named) {
  const auto answer = ask_named_container(named.directory, named.containers, named.name, runtime::k_describe);
  return answer ? std::optional(parse_description(answer->text)) : std::nullopt;
}

// The place, or the container that has it still after `patience`; `meet` is called with it again and again meanwhile,
// and says whether waiting makes sense.
template <class Meet>
std::variant<HeldPlace, RunningContainer> take_place(const NamedRemoval& named, Clock::duration patience,
                                                     const Meet& meet) {
  for (const auto end = Clock::now() + patience;; std::this_thread::sleep_for(k_check_every)) {
    if (auto place = try_take_named(named.directory, named.containers, named.name)) return HeldPlace(std::move(*place));
    auto running = describe_if_there(named);
    if (running && (!meet(*running) || Clock::now() > end)) return std::move(*running);
  }
}

bool has_ended(const RunningContainer& container) {
  return container.pids.empty();  // and its server is about to
}

[[noreturn]] void refuse(const RunningContainer& running, std::string_view name) {
  throw Error(fmt::format("cannot remove the container {}: {} process{} in it ({})", name, running.pids.size(),
                          running.pids.size() == 1 ? " is" : "es are",
                          fmt::join(running.pids.begin(),
                                    running.pids.begin() + std::min<long>(std::ssize(running.pids), 8), ", ")),
              fmt::format("`mlctr rm --force {}` ends them", name));
}

std::variant<HeldPlace, RunningContainer> end_processes(const NamedRemoval& named) {
  bool is_told = false;
  auto place = take_place(named, k_patience_with_sigterm, [&](const RunningContainer& running) {
    if (!std::exchange(is_told, true)) send_signal(running, SIGTERM);
    return true;
  });
  if (std::holds_alternative<HeldPlace>(place)) return place;
  return take_place(named, k_patience_with_kernel, [](const RunningContainer& running) {
    send_signal(running, SIGKILL);
    return true;
  });
}

}  // namespace

void remove_container(const Configuration& configuration, std::string_view name, InUse in_use) {
  const ContainerStore containers = open_containers(configuration);
  if (!containers.has(name)) require_container(configuration, name);  // throws, with the nearest name
  const RuntimeDirectory directory = open_runtime_directory();
  const NamedRemoval named{directory, containers, std::string(name)};
  if (in_use == InUse::end_processes) end_strays(directory, containers, named.name);
  describe_if_there(named);  // throws for what a dead server left
  std::optional<std::filesystem::path> aside;
  {
    const auto place =
        in_use == InUse::refuse ? take_place(named, k_patience_with_kernel, has_ended) : end_processes(named);
    if (const auto* running = std::get_if<RunningContainer>(&place)) refuse(*running, name);
    aside = containers.set_aside(name);
    forget_container_here(configuration, name);
  }
  // --rm of the run whose processes were ended removes it as well.
  if (!aside && in_use == InUse::refuse)
    throw Error(fmt::format("the container {} was removed by another just now", name));
  if (aside) containers.remove_aside(*aside);
}

bool remove_idle_container(const Configuration& configuration, const RuntimeDirectory& directory,
                           std::string_view name) {
  const ContainerStore containers = open_containers(configuration);
  std::optional<std::filesystem::path> aside;
  {
    const auto place = take_place({directory, containers, std::string(name)}, k_patience_with_kernel, has_ended);
    if (!std::holds_alternative<HeldPlace>(place)) return false;
    aside = containers.set_aside(name);
    forget_container_here(configuration, name);
  }
  if (aside) containers.remove_aside(*aside);
  return true;
}

}  // namespace mlctr
