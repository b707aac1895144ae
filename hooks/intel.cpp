#include "hooks/intel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "hooks/device_choice.hpp"
#include "hooks/device_edits.hpp"
#include "hooks/render_nodes.hpp"

namespace mlctr::hooks {
namespace {

const CdiKind k_intel_kind{"intel.com", "gpu"};
constexpr unsigned k_intel_vendor = 0x8086, k_habana = 0x1da3;
constexpr const char* k_gaudi_variable = "HABANA_VISIBLE_DEVICES";

std::optional<std::string> gpu_list(const HostView& host, const HookRequest& request) {
  if (auto list = native_device_list(host, request, k_intel_kind)) return list;
  const bool is_for_us =
      request.gpus && !is_for_cdi(*request.gpus, k_intel_kind) && gpu_vendor(host) == GpuVendor::intel;
  if (is_for_us) return gpus_option_list(*request.gpus);
  if (request.gpus) return std::nullopt;
  if (request.job.has("SLURM_JOB_ID") && request.job.has("ZE_AFFINITY_MASK")) return "all";
  return std::nullopt;
}

// compute-runtime looks for a GPU by its place on the bus first.
void add_gpu(Edits& edits, const HostView& host, const RenderNode& node) {
  for (const std::string& name : {node.render, node.card}) {
    if (name.empty()) continue;
    add_device(edits, host, "/dev/dri/" + name);
    if (node.bus.empty()) continue;
    const char* kind = name.starts_with("card") ? "card" : "render";
    edits.links.push_back({fmt::format("/dev/dri/by-path/pci-{}-{}", node.bus, kind), "../" + name, ""});
  }
}

void hide_gpu(Edits& edits, const HookRequest& request, const RenderNode& node) {
  for (const std::string& name : {node.render, node.card}) {
    if (!name.empty()) hide_device(edits, request, "/dev/dri/" + name);
  }
}

void add_gpus(Edits& edits, const HostView& host, const HookRequest& request, const std::string& list) {
  std::vector<RenderNode> gpus = list_render_nodes(host, k_intel_vendor);
  std::erase_if(gpus, [&](const RenderNode& node) { return !host.may_use("/dev/dri/" + node.render); });
  std::vector<DeviceNames> names;
  for (const RenderNode& node : gpus) names.push_back(node.bus.empty() ? DeviceNames{} : DeviceNames{node.bus});
  const auto chosen = choose_of_step(list, names, "Intel GPU", request);
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    if (std::ranges::find(chosen, i) != chosen.end()) {
      add_gpu(edits, host, gpus[i]);
    } else {
      hide_gpu(edits, request, gpus[i]);
    }
  }
  add_renumbering(edits, "ZE_AFFINITY_MASK", gpus.size(), chosen);
}

std::vector<std::string> list_accelerators(const HostView& host) {
  std::vector<std::string> numbers;
  for (const std::string& name : host.list("/dev/accel")) {
    if (!name.starts_with("accel") || name.starts_with("accel_")) continue;
    if (vendor_of(host, "accel", name) == k_habana && host.may_use("/dev/accel/" + name))
      numbers.push_back(name.substr(5));
  }
  return numbers;
}

void add_accelerators(Edits& edits, const HostView& host, const HookRequest& request, const std::string& list) {
  const std::vector<std::string> numbers = list_accelerators(host);
  std::vector<DeviceNames> names(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) names[i] = {"accel" + numbers[i]};
  const auto chosen = choose_devices(list, names, "Gaudi accelerator");
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    for (const char* stem : {"/dev/accel/accel", "/dev/accel/accel_controlD"}) {
      if (std::ranges::find(chosen, i) != chosen.end()) {
        add_device(edits, host, stem + numbers[i]);
      } else {
        hide_device(edits, request, stem + numbers[i]);
      }
    }
  }
}

}  // namespace

Edits intel_edits(const HostView& host, const HookRequest& request) {
  Edits edits;
  if (const auto list = gpu_list(host, request)) add_gpus(edits, host, request, *list);
  if (const auto list = native_device_list(host, request, {"habana.ai", "gaudi"})) {
    add_accelerators(edits, host, request, *list);
  } else if (request.environment.has(k_gaudi_variable) && host.has("/dev/accel")) {
    add_accelerators(edits, host, request, std::string(request.environment.value(k_gaudi_variable)));
  }
  return edits;
}

}  // namespace mlctr::hooks
