// The way into a step's container that needs no process of mlctr's: by the step's holder, which the first task had made
// (hand_off.h).
#pragma once

#include "spank/given_options.hpp"
#include "spank/hand_off.hpp"
#include "spank/slurm.hpp"

namespace mlctr::spank {

/// In task_init. Waits for the container. A failure, whatever it is: mlctr is to be asked, which tells what is the
/// matter.
HandOff ask_holder(spank_t spank, const GivenOptions& given, char* const* environment);

}  // namespace mlctr::spank
