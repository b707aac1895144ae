#include "hooks/amdgpu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>

#include "base/error.hpp"
#include "hooks/device_choice.hpp"
#include "hooks/device_edits.hpp"
#include "hooks/render_nodes.hpp"

namespace mlctr::hooks {
namespace {

constexpr const char* k_topology = "/sys/class/kfd/kfd/topology/nodes";
constexpr unsigned k_amd = 0x1002;
const CdiKind k_amd_kind{"amd.com", "gpu"};

// "name number" a line.
std::map<std::string, std::uint64_t> properties_of(const HostView& host, const std::string& node) {
  std::map<std::string, std::uint64_t> properties;
  std::istringstream lines(host.read(fmt::format("{}/{}/properties", k_topology, node)));
  std::string name;
  std::uint64_t value = 0;
  while (lines >> name >> value) properties[name] = value;
  return properties;
}

AmdGpu gpu_of(const HostView& host, std::map<std::string, std::uint64_t>& properties) {
  const std::uint64_t location = properties["location_id"];
  const std::string node = fmt::format("renderD{}", properties["drm_render_minor"]);
  return {.node = node,
          .uuid = properties["unique_id"] == 0 ? "" : fmt::format("GPU-{:016x}", properties["unique_id"]),
          .bus = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", properties["domain"], (location >> 8) & 0xff,
                             (location >> 3) & 0x1f, location & 7),
          .is_usable = host.may_use("/dev/dri/" + node)};
}

struct Ask {
  std::string list;
  bool is_explicit;  // by an option: nothing to give is an error then
};

std::optional<Ask> ask_of(const HostView& host, const HookRequest& request) {
  if (auto list = native_device_list(host, request, k_amd_kind)) return Ask{std::move(*list), true};
  const bool is_for_us = request.gpus && !is_for_cdi(*request.gpus, k_amd_kind) && gpu_vendor(host) == GpuVendor::amd;
  if (is_for_us) return Ask{gpus_option_list(*request.gpus), true};
  if (request.gpus) return std::nullopt;
  if (request.environment.has("AMD_VISIBLE_DEVICES")) {
    return Ask{std::string(request.environment.value("AMD_VISIBLE_DEVICES")), false};
  }
  if (request.job.has("SLURM_JOB_ID") && request.job.has("ROCR_VISIBLE_DEVICES")) return Ask{"all", false};
  return std::nullopt;
}

// ROCr counts among the GPUs it sees, HIP among those that ROCr shows.
void renumber_variables(Edits& edits, const HookRequest& request, std::size_t all,
                        const std::vector<std::size_t>& chosen) {
  if (request.job.has("ROCR_VISIBLE_DEVICES")) {
    add_renumbering(edits, "ROCR_VISIBLE_DEVICES", all, chosen);
    return;
  }
  for (const char* name : {"HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"}) add_renumbering(edits, name, all, chosen);
}

std::vector<DeviceNames> names_of(const std::vector<AmdGpu>& gpus) {
  std::vector<DeviceNames> names;
  for (const AmdGpu& gpu : gpus)
    names.push_back(gpu.uuid.empty() ? DeviceNames{gpu.bus} : DeviceNames{gpu.uuid, gpu.bus});
  return names;
}

[[noreturn]] void refuse(const std::vector<AmdGpu>& gpus) {
  if (gpus.empty()) throw Error("there is no AMD GPU here", "`mlctr doctor --gpu` says what there is");
  throw Error(fmt::format("none of the {} AMD GPUs may be used by you: /dev/dri/{} can't be opened", gpus.size(),
                          gpus.front().node),
              "in a job that asked for GPUs they can (srun --gpus=1 …); else an admin puts you into their group: "
              "sudo usermod -a -G render $USER");
}

}  // namespace

std::vector<AmdGpu> list_amd_gpus(const HostView& host) {
  std::vector<AmdGpu> gpus;
  for (const std::string& node : host.list(k_topology)) {
    auto properties = properties_of(host, node);
    if (properties["drm_render_minor"] != 0 && properties["simd_count"] != 0) gpus.push_back(gpu_of(host, properties));
  }
  if (!gpus.empty() || !host.has("/dev/kfd")) return gpus;
  for (const RenderNode& node : list_render_nodes(host, k_amd)) {
    gpus.push_back({node.render, "", node.bus, host.may_use("/dev/dri/" + node.render)});
  }
  return gpus;
}

Edits amdgpu_edits(const HostView& host, const HookRequest& request) {
  const auto ask = ask_of(host, request);
  if (!ask) return {};
  const std::vector<AmdGpu> all = list_amd_gpus(host);
  std::vector<AmdGpu> usable;
  std::ranges::copy_if(all, std::back_inserter(usable), &AmdGpu::is_usable);
  if (usable.empty() && ask->is_explicit && !asks_for_nothing(ask->list)) refuse(all);
  if (usable.empty()) return {};
  const auto chosen = choose_of_step(ask->list, names_of(usable), "AMD GPU", request);
  Edits edits;
  if (!chosen.empty()) add_device(edits, host, "/dev/kfd");
  for (const std::size_t place : chosen) add_device(edits, host, "/dev/dri/" + usable[place].node);
  for (std::size_t i = 0; i < usable.size(); ++i) {
    if (std::ranges::find(chosen, i) == chosen.end()) hide_device(edits, request, "/dev/dri/" + usable[i].node);
  }
  renumber_variables(edits, request, usable.size(), chosen);
  return edits;
}

}  // namespace mlctr::hooks
