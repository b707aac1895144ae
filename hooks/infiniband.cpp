#include "hooks/infiniband.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "hooks/device_choice.hpp"
#include "hooks/device_edits.hpp"

namespace mlctr::hooks {
namespace {

constexpr const char* k_variable = "MELLANOX_VISIBLE_DEVICES";
constexpr const char* k_connections = "/dev/infiniband/rdma_cm";

struct VerbsDevice {
  std::string node;  ///< "uverbs0"
  std::string name;  ///< "mlx5_0"
};

std::string first_line(std::string text) {
  return text.substr(0, text.find('\n'));
}

std::vector<VerbsDevice> list_verbs_devices(const HostView& host) {
  std::vector<VerbsDevice> devices;
  if (host.list("/sys/class/infiniband").empty()) return devices;
  for (const std::string& node : host.list("/sys/class/infiniband_verbs")) {
    if (!node.starts_with("uverbs") || !host.has("/dev/infiniband/" + node)) continue;
    devices.push_back({node, first_line(host.read(fmt::format("/sys/class/infiniband_verbs/{}/ibdev", node), 256))});
  }
  return devices;
}

// On a login node nobody minds.
void warn_of_limit(Edits& edits, const HookRequest& request, std::uint64_t locked_bytes) {
  const bool is_meant = request.job.has("SLURM_JOB_ID") || request.environment.has(k_variable);
  if (locked_bytes == UINT64_MAX || !is_meant) return;
  edits.warnings.push_back(
      {fmt::format("programs may lock only {:.1f} MB of memory here, which InfiniBand needs for what it sends: "
                   "`ulimit -l` shows the limit; in Slurm, LimitMEMLOCK=infinity of slurmd and "
                   "PropagateResourceLimitsExcept=MEMLOCK lift it",
                   static_cast<double>(locked_bytes) / 1e6),
       ""});
}

}  // namespace

Edits plan_infiniband(const HostView& host, const HookRequest& request, std::uint64_t locked_bytes) {
  const std::vector<VerbsDevice> devices = list_verbs_devices(host);
  if (devices.empty()) return {};
  const std::string list(request.environment.has(k_variable) ? request.environment.value(k_variable) : "all");
  std::vector<DeviceNames> names;
  for (const VerbsDevice& device : devices) names.push_back({device.name, device.node});
  const auto chosen = choose_devices(list, names, "InfiniBand device");
  Edits edits;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const std::string path = "/dev/infiniband/" + devices[i].node;
    if (std::ranges::find(chosen, i) != chosen.end()) {
      add_device(edits, host, path);
    } else {
      hide_device(edits, request, path);
    }
  }
  if (chosen.empty()) return edits;
  add_device(edits, host, k_connections);
  warn_of_limit(edits, request, locked_bytes);
  return edits;
}

Edits infiniband_edits(const HostView& host, const HookRequest& request) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  return plan_infiniband(host, request, limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : std::uint64_t{limit.rlim_cur});
}

}  // namespace mlctr::hooks
