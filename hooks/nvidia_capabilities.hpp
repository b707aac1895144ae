// What of NVIDIA's driver a container gets: NVIDIA_DRIVER_CAPABILITIES, and which library and program belongs to what.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace mlctr::hooks {

/// A set of flags.
enum NvidiaCapability : unsigned {
  k_no_capability = 0,
  k_utility = 1,
  k_compute = 2,
  k_video = 4,
  k_graphics = 8,
  k_display = 16,
  k_ngx = 32,
  k_compat32 = 64,
  k_all_capabilities = 127,
};
using NvidiaCapabilities = unsigned;

/// "compute,utility", "all"; empty: compute and utility. With what each implies (video: compute; display: graphics).
/// Throws Error that names the unknown one and lists the known.
NvidiaCapabilities parse_nvidia_capabilities(std::string_view text);

/// Which capabilities want a library, by its name up to ".so": "libcuda". Absent where it is not in the table.
std::optional<NvidiaCapabilities> capabilities_of_library(std::string_view stem);

struct NvidiaProgram {
  std::string_view name;
  NvidiaCapabilities wanted_by;
};
/// Neither nvidia-modprobe, which is setuid, nor nvidia-settings.
std::span<const NvidiaProgram> nvidia_programs();

}  // namespace mlctr::hooks
