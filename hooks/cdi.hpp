// Devices as CDI files describe them (CDI 1.1.0): `--device vendor/class=name`, and such names where a list of GPUs is
// taken.
#pragma once

#include <vector>

#include "hooks/cdi_name.hpp"
#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// What is asked for by CDI names. Throws UsageError for a --device that is none.
std::vector<CdiName> requested_cdi_devices(const HookRequest& request);

/// Those of them whose kind a hook of ours knows and no CDI file defines: nvidia.com/gpu, amd.com/gpu, intel.com/gpu,
/// habana.ai/gaudi.
std::vector<CdiName> native_devices(const HostView& host, const HookRequest& request);

/// Whether a CDI file gives a device of that kind that is asked for: the vendor's own hook has nothing to add then.
bool is_given_by_cdi(const HostView& host, const HookRequest& request, const CdiKind& kind);

/// Throws Error that lists all devices which nobody defines, or names file and line of what can't be done.
Edits cdi_edits(const HostView& host, const HookRequest& request);

}  // namespace mlctr::hooks
