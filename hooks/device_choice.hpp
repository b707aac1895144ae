// Which of a vendor's devices a container gets, said in a list of places and names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/cdi_name.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// What one device may be called besides its place in the list: "GPU-8d2f…", "0000:03:00.0".
using DeviceNames = std::vector<std::string>;

/// Places in `devices`, rising, each once. `text`: all | none | void | nothing | a comma list of places and names,
/// whatever their case. Throws Error that says what there is; `what`: "AMD GPU".
std::vector<std::size_t> choose_devices(std::string_view text, const std::vector<DeviceNames>& devices,
                                        std::string_view what);

/// The GPUs of `devices` (--device) of that kind that no CDI file defines: "0,1"; absent where there are none. They
/// are for a vendor's own hook to find.
std::optional<std::string> native_device_list(const HostView& host, const HookRequest& request, const CdiKind& kind);

/// --gpus as a list for choose_devices(): a count is the first ones. Throws UsageError.
std::string gpus_option_list(std::string_view option);

/// Whether a list of GPUs is one of CDI names alone, of kinds that are not `own`: nothing for a vendor's hook then.
bool is_for_cdi(std::string_view list, const CdiKind& own);

/// Whose GPUs --gpus means: those of the first of these that the host has.
enum class GpuVendor { none, nvidia, amd, intel };
GpuVendor gpu_vendor(const HostView& host);

/// Whether a list asks for no device at all: "", "none", "void".
bool asks_for_nothing(std::string_view text);

/// choose_devices() among those that a Slurm step was given, where Slurm does not keep the others from it itself: the
/// places in `text` count the step's own, the result's count all. SLURM_STEP_GPUS that can't be read gives nothing.
std::vector<std::size_t> choose_of_step(std::string_view text, const std::vector<DeviceNames>& devices,
                                        std::string_view what, const HookRequest& request);

}  // namespace mlctr::hooks
