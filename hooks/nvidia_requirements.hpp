// NVIDIA_REQUIRE_*: what an image needs of the host's driver and GPUs.
//
//   requirement = alternative { " " alternative }      one must hold
//   alternative = condition { "," condition }          all must hold
//   condition   = name op value                        op: = != < <= > >=
//   name        = "cuda" | "driver" | "arch" | "brand" | anything else, which is skipped
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/driver_version.hpp"
#include "runtime/environment.hpp"

namespace mlctr::hooks {

struct GpuTraits {
  std::string architecture;  ///< compute capability, "9.0"
  std::string brand;         ///< "tesla"
};

struct DriverTraits {
  DriverVersion driver;
  std::function<std::string()> cuda;             ///< "12.2"; empty where nobody knows; called when wanted
  std::function<std::vector<GpuTraits>()> gpus;  ///< of the container; empty where nobody knows
};

/// Throws Error "driver 535.104 < 570.26 required by the image", with what to do. What nobody knows holds.
void check_nvidia_requirements(const runtime::Environment& environment, const DriverTraits& traits);

}  // namespace mlctr::hooks
