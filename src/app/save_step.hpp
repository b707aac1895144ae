// --container-save: what the tasks of a step made of its container, as one squashfs file, once the last of them on this
// node has ended.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "app/join_step.hpp"
#include "base/progress.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// The container that a step's request is about: what is saved must have a name, so an unnamed one has the step's.
/// Empty where it has none.
std::string stored_name(const StepRequest& request);

/// Containers that were to be saved, of steps that were cancelled: they have a name, but nobody gave them one.
std::vector<std::string> dead_step_containers(const ContainerStore& containers);

/// For a task that has ended: whether it was the last. The step's container may end then.
bool is_last_of_step(const StepRequest& request);

/// Returns the file's length; replaces what was there. A container that the user did not name is removed.
std::uint64_t save_step(const Configuration& configuration, const StepRequest& request, ProgressBoard& board,
                        std::stop_token stop);

}  // namespace mlctr
