// NVIDIA's GPUs: the host's driver, its libraries, programs and nodes, for what the request (else the image's
// NVIDIA_VISIBLE_DEVICES) asks.
#pragma once

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// Throws Error: what was asked for explicitly is not there, an unknown GPU or capability, an unmet requirement.
Edits nvidia_edits(const HostView& host, const HookRequest& request);

}  // namespace mlctr::hooks
