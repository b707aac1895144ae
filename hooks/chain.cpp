#include "hooks/chain.hpp"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/path.hpp"
#include "hooks/amdgpu.hpp"
#include "hooks/cdi.hpp"
#include "hooks/infiniband.hpp"
#include "hooks/intel.hpp"
#include "hooks/nvidia.hpp"

namespace mlctr::hooks {
namespace {

// A CDI file's edits come first: where it defines what is asked for, the others leave that to it.
constexpr std::array<Hook, 5> k_chain{{{"cdi", cdi_edits},
                                       {"nvidia", nvidia_edits},
                                       {"amdgpu", amdgpu_edits},
                                       {"intel", intel_edits},
                                       {"infiniband", infiniband_edits}}};

template <class Edit>
void name_origin(std::vector<Edit>& edits, std::string_view name) {
  for (Edit& each : edits) {
    if (each.origin.empty()) each.origin = name;
  }
}

void name_origins(Edits& edits, std::string_view name) {
  name_origin(edits.devices, name);
  name_origin(edits.mounts, name);
  name_origin(edits.links, name);
  name_origin(edits.environment, name);
  name_origin(edits.programs, name);
  name_origin(edits.libraries, name);
  name_origin(edits.hidden, name);
  name_origin(edits.renumbered, name);
  name_origin(edits.warnings, name);
  if (edits.forward_compat && edits.forward_compat->origin.empty()) edits.forward_compat->origin = name;
}

Edits plan_one(const Hook& hook, const HostView& host, const HookRequest& request) {
  try {
    Edits edits = hook.plan(host, request);
    name_origins(edits, hook.name);
    return edits;
  } catch (Error& error) {
    error.add_context(hook.name);
    throw;
  }
}

bool is_in_driver_directory(const std::string& path) {
  return is_below(path, k_driver_directory);
}

void add_driver_directory(Edits& edits) {
  const bool is_used =
      std::ranges::any_of(edits.mounts, [](const auto& mount) { return is_in_driver_directory(mount.target); }) ||
      std::ranges::any_of(edits.links, [](const auto& link) { return is_in_driver_directory(link.path); });
  if (!is_used) return;
  edits.mounts.insert(edits.mounts.begin(), {.source = runtime::TmpfsMount{.mode = 0755, .size_bytes = 1u << 20},
                                             .target = k_driver_directory,
                                             .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                             .origin = "hooks"});
}

}  // namespace

std::span<const Hook> hook_chain() {
  return k_chain;
}

Edits plan_edits(const HostView& host, const HookRequest& request, std::span<const Hook> hooks) {
  Edits edits;
  try {
    for (const Hook& hook : hooks) merge(edits, plan_one(hook, host, request));
  } catch (Error& error) {
    // What hooks before warn of may be why: the device may be in a CDI file that can't be read.
    for (const HookWarning& warning : edits.warnings) {
      error.replace_hint(error.hint().empty() ? warning.text : fmt::format("{}; {}", warning.text, error.hint()));
    }
    throw;
  }
  add_driver_directory(edits);
  return edits;
}

}  // namespace mlctr::hooks
