// The use cases `mlctr gpus` and `mlctr doctor --gpu`: what GPUs a host has, what of them a container would get, and
// why not more.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/doctor.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr {

struct SurveyedGpu {
  std::string vendor;  ///< "NVIDIA", "AMD", "Intel"
  /// What --gpus device=N takes; absent where the GPU can't be used.
  std::optional<unsigned> index{};
  std::string model{}, uuid{}, bus{};   ///< each empty where nobody says
  std::optional<unsigned> minor{};      ///< of NVIDIA's /dev/nvidiaN
  std::vector<std::string> slices{};    ///< MIG: "gi1/ci0"
  std::string node{};                   ///< "/dev/nvidia0", "/dev/dri/renderD128"
  std::string problem{};                ///< why it can't be used; empty: it can
};

/// The CDI files that can't be used, "FILE:LINE: why", are among the findings of examine_gpus().
std::vector<SurveyedGpu> survey_gpus(const hooks::HostView& host, const hooks::HookSettings& settings);

/// One line for each thing that GPUs in containers need. The last says what a container would get.
std::vector<ProbeResult> examine_gpus(const hooks::HostView& host, const hooks::HookSettings& settings);

}  // namespace mlctr
