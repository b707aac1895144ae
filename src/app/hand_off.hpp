// A way into a container, for the Slurm plugin to take: the sending side of spank/hand_off.h.
#pragma once

#include "app/join_step.hpp"
#include "base/fd.hpp"

namespace mlctr {

/// One message over `socket`. Throws SysError.
void hand_off(const Fd& socket, const StepEntry& entry, const runtime::Host& host);

}  // namespace mlctr
