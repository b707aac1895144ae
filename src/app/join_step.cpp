#include "app/join_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string_view>

#include "app/destination_file.hpp"
#include "app/exec_container.hpp"
#include "app/launch_variables.hpp"
#include "app/named_container.hpp"
#include "app/open_stores.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/save_step.hpp"
#include "app/step_container.hpp"
#include "app/step_entrance.hpp"
#include "app/step_holder.hpp"
#include "base/error.hpp"
#include "runtime/container_socket.hpp"

namespace mlctr {
namespace {

// The first task's part: the image comes in its own process, where its progress is seen and a signal stops it.
void make_step_container(const Configuration& configuration, const StepRequest& request, const runtime::Host& host,
                         runtime::ContainerSocket place) {
  try {
    remove_dead_step_sockets();
    remove_dead_sockets(open_runtime_directory());  // of servers that Slurm killed with their step
    if (!request.save_as.empty()) check_destination(request.save_as, Overwrite::replace);
    const RunSubject subject = find_step_subject(configuration, request);
    start_step_holder(place, request.step, [&](std::vector<int> not_inherited) {
      std::optional<StepEntrance> entrance;  // where there is anybody to come in by it
      if (request.step.local_tasks > 1) {
        entrance.emplace(request, host);
        not_inherited.push_back(entrance->sockets());
      }
      HeldContainer held = enter_step_container(configuration, subject, request, host, not_inherited);
      if (entrance) held.let_in = std::move(*entrance).to(held.socket);
      return held;
    });
  } catch (...) {
    tell_step_it_failed(std::move(place), request.step);
    throw;
  }
}

// The socket of the step's container.
std::string find_container_socket(const Configuration& configuration, const StepRequest& request,
                                  const runtime::Host& host) {
  for (;;) {
    if (const auto answer = ask_step(key_of(request.step), runtime::k_join)) {
      if (answer->container_socket.empty()) throw StepFailed{};
      return answer->container_socket;
    }
    if (auto place = try_take_socket(open_step_directory(), key_of(request.step))) {
      make_step_container(configuration, request, host, std::move(*place));
    }
  }
}

runtime::Message ask_for_entry(const Configuration& configuration, const StepRequest& request,
                               const std::string& socket) {
  const RuntimeDirectory directory = open_runtime_directory();
  const std::string name = stored_name(request);
  auto answer = name.empty() ? runtime::ask_container(directory.sockets, socket, runtime::k_join)
                             : ask_named_container(directory, open_containers(configuration), name, runtime::k_join);
  if (answer && !answer->fds.empty()) return std::move(*answer);
  throw Error("the server of the step's container was killed");
}

// The host's locales are not the image's: perl and others complain on every start (pyxis has these three too).
runtime::Host without_locale(const runtime::Host& host) {
  runtime::Host without = host;
  std::erase_if(without.environment, [](const std::string& entry) {
    return entry.starts_with("LANG=") || entry.starts_with("LANGUAGE=") || entry.starts_with("LC_ALL=");
  });
  return without;
}

// What Slurm and its MPI plugins tell a task is so, whatever an image says: one that was saved in a job has another's.
std::vector<std::string> launchers_variables(const runtime::Host& host) {
  constexpr std::array<std::string_view, 5> k_beginnings{"SLURM_", "SLURMD_", "PMI_", "PMI2_", "PMIX_"};
  std::vector<std::string> found;
  std::ranges::copy_if(host.environment, std::back_inserter(found), [&](const std::string& entry) {
    return std::ranges::any_of(k_beginnings, [&](std::string_view beginning) { return entry.starts_with(beginning); });
  });
  return found;
}

}  // namespace

StepEntry join_step(const Configuration& configuration, const StepRequest& request, const runtime::Host& host) {
  runtime::Message answer = ask_for_entry(configuration, request, find_container_socket(configuration, request, host));
  return entry_of(request, std::move(answer), host, outgoing_ports());
}

StepEntry entry_of(const StepRequest& request, runtime::Message answer, const runtime::Host& host,
                   OutgoingPorts ports) {
  const RunningContainer container = parse_description(answer.text);
  std::vector<std::string> environment = launchers_variables(host);
  for (std::string& entry : torch_variables(host.environment, container.image_environment, ports)) {
    environment.push_back(std::move(entry));
  }
  for (std::string& entry : pmix_variables(host.environment, container.image_environment)) {
    environment.push_back(std::move(entry));
  }
  environment.insert(environment.end(), request.environment.begin(), request.environment.end());
  runtime::Program program = program_in(container,
                                        {.command = request.command,
                                         .remap = request.remap,
                                         .environment = std::move(environment),
                                         .working_directory = request.working_directory,
                                         .mounts = request.mounts},
                                        without_locale(host));
  if (const std::string why = pmix_obstacle(host.environment, program.remap); !why.empty()) request.tell(why);
  return {std::move(answer), std::move(program), container.remap};
}

}  // namespace mlctr
