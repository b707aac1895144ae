// Puts the calling process into a container, for good.
#pragma once

#include "spank/failure.hpp"
#include "spank/hand_off.hpp"

namespace mlctr::spank {

/// Namespaces, identity, working directory, no_new_privs and filter, in this order. The process has one thread. After a
/// failure it may be anywhere in between: it must not go on to run anything.
Failure join_container(const HandOff& hand_off);

}  // namespace mlctr::spank
