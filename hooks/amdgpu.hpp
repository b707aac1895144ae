// AMD's GPUs: /dev/kfd and the render nodes; the libraries are the image's. Source: the kernel's
// drivers/gpu/drm/amd/amdkfd/kfd_topology.c (names of the properties), ROCm's "Restricting GPU access".
#pragma once

#include <string>
#include <vector>

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

struct AmdGpu {
  std::string node;  ///< "renderD128"
  std::string uuid;  ///< "GPU-8d2f3b6c1a09e745"; empty where it has none
  std::string bus;   ///< "0000:03:00.0"
  bool is_usable;    ///< by this process: permissions and device cgroup allow it
};

/// In ROCm's order. Those a device cgroup forbids are missing where the kernel does not tell of them.
std::vector<AmdGpu> list_amd_gpus(const HostView& host);

/// What asks: --device amd.com/gpu=…, --gpus where there is no NVIDIA driver, AMD_VISIBLE_DEVICES, or a job that has
/// ROCR_VISIBLE_DEVICES. Throws Error: an unknown GPU, or none that may be used where one was asked for by an option.
Edits amdgpu_edits(const HostView& host, const HookRequest& request);

}  // namespace mlctr::hooks
