// What the hooks (GPUs, fabrics, MPI) add to a container that is to start.
#pragma once

#include "app/configuration.hpp"
#include "app/run_container.hpp"
#include "hooks/edits.hpp"
#include "hooks/request.hpp"
#include "runtime/environment.hpp"
#include "runtime/host.hpp"

namespace mlctr {

hooks::HookSettings hook_settings(const Configuration& configuration);

/// `environment`: the program's so far. Throws Error that names the hook.
hooks::Edits plan_container_edits(const Configuration& configuration, const RunRequest& request,
                                  const runtime::Environment& environment, const runtime::Host& host);

}  // namespace mlctr
