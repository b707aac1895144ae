// Intel's GPUs and Gaudi accelerators: their nodes; the libraries are the image's. Source: compute-runtime's and
// Habana's documentation of ZE_AFFINITY_MASK and HABANA_VISIBLE_DEVICES.
#pragma once

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// What asks for GPUs: --device intel.com/gpu=…, --gpus where there is neither NVIDIA's nor AMD's driver, or a job that
/// has ZE_AFFINITY_MASK; for accelerators: --device habana.ai/gaudi=…, HABANA_VISIBLE_DEVICES. Throws Error: an unknown
/// one, or none where an option asked.
Edits intel_edits(const HostView& host, const HookRequest& request);

}  // namespace mlctr::hooks
