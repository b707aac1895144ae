// The edits of CDI devices that were found. What nvidia-ctk's hooks would do in the container is part of them, so that
// a driver's files end where `--gpus` puts them: in k_driver_directory, out of the rootfs.
#pragma once

#include <span>

#include "hooks/cdi_catalogue.hpp"
#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// In the order of `devices`, what a file says for all of its devices first and once. Throws Error "FILE:LINE: …" for
/// what the host does not have, and for hooks that are neither NVIDIA's nor allowed.
Edits plan_cdi_devices(const HostView& host, const HookRequest& request, std::span<const CdiDefinition> devices);

}  // namespace mlctr::hooks
