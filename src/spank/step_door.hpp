// The way into a step's container that needs no process of mlctr's: by the step's holder, which the first task had made
// (hand_off.h).
#pragma once

#include "spank/hand_off.hpp"

namespace mlctr::spank {

/// Of the step's tasks on one node.
enum class TaskOrder { first, later };

/// In a task, which is slurmstepd's child. Waits for the container; the first task only where there is one already. A
/// failure, whatever it is: mlctr is to be asked, which tells what is the matter.
HandOff ask_holder(TaskOrder order, char* const* environment);

}  // namespace mlctr::spank
