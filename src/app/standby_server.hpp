// A process that goes on serving a named container where its server is killed: Slurm ends that with the step that
// started it, while others may be inside.
#pragma once

#include <vector>

#include "app/configuration.hpp"
#include "base/fd.hpp"
#include "runtime/message.hpp"

namespace mlctr {

/// `running`: the container's answer to "stand by", of which the namespaces are left. Forks: call it in a
/// single-threaded process that is about to join the container. The server ends with what is returned, unless it serves
/// by then. Empty where the container can have no second server. `not_inherited`: descriptors of the caller's that it
/// must not keep open.
Fd start_standby_server(const Configuration& configuration, runtime::Message& running, std::vector<int> not_inherited);

}  // namespace mlctr
