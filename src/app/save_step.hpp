// --container-save: what the tasks of a step made of its container, as one squashfs file, once the last of them on this
// node has ended.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "app/join_step.hpp"
#include "base/progress.hpp"

namespace mlctr {

/// The container that a step's request is about: what is saved must have a name, so an unnamed one has the step's.
/// Empty where it has none.
std::string stored_name(const StepRequest& request);

/// The process that such a container ends with, where `name` is of the step's making.
std::optional<pid_t> keeper_of_stored(std::string_view name);

/// For a task that has ended: whether it was the last. The step's container may end then.
bool is_last_of_step(const StepRequest& request);

/// Returns the file's length; replaces what was there. A container that the user did not name is removed.
std::uint64_t save_step(const Configuration& configuration, const StepRequest& request, ProgressBoard& board,
                        std::stop_token stop);

}  // namespace mlctr
