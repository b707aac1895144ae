// The holder of a step's container: a process inside it that does nothing, so that the container lasts as long as the
// step does on this node, whichever of its tasks end before others begin. It answers the step's socket, to which every
// task of the step comes; the tasks of one that could not be made are told so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/slurm_step.hpp"
#include "base/fd.hpp"
#include "runtime/container_socket.hpp"

namespace mlctr {

/// What the step's socket is asked, besides "join":
///   ended    a task has; answered with whether it was the last one of the step's tasks here, with which the holder
///   goes leave    for the holder to go
///   look     by who is no task of it; answered as "join" is
///   enter    by the plugin, with a descriptor: HeldContainer::let_in answers it (spank/hand_off.h)
inline constexpr std::string_view k_ended = "ended", k_leave = "leave", k_look = "look";

struct StepAnswer {
  std::string container_socket;  ///< where the container listens; empty: it failed to start
  bool is_last = false;          ///< to "ended"
};

struct HeldContainer {
  std::string socket;  ///< its name
  Fd standby{};        ///< of the server that stands by for it (standby_server.hpp)
  /// See StepEntrance.
  std::function<void(const Fd& client, const Fd& environment)> let_in{};
};

/// Absent where nobody holds the container of the step with this key (any more). Who asks to join waits until it is
/// there.
std::optional<StepAnswer> ask_step(const std::string& key, std::string_view request);

/// Those of the steps held on this node.
std::vector<std::string> list_step_keys();

/// Forks the holder: call it in a single-threaded process. `make` is called in it, makes the container or joins it,
/// and returns inside; it is given the descriptors that what it starts must not keep open. Returns
/// once the container is there; `place` is the holder's then. Throws what `make` threw.
void start_step_holder(runtime::ContainerSocket& place, const SlurmStep& step,
                       const std::function<HeldContainer(const std::vector<int>&)>& make);

/// Forks a process that tells the step's other tasks, whenever they come, that there is no container to join.
void tell_step_it_failed(runtime::ContainerSocket place, const SlurmStep& step);

}  // namespace mlctr
