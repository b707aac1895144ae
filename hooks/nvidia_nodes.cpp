#include <fmt/format.h>

#include <algorithm>

#include "base/printable.hpp"
#include "hooks/list_words.hpp"
#include "hooks/nvidia_plan.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

constexpr const char* k_make_nodes = "`nvidia-modprobe -u -c=0`, as root, makes it";

class Nodes {
 public:
  Nodes(Edits& edits, const HostView& devices) : edits_(edits), devices_(devices) {}

  bool add(const std::string& path) {
    const auto found = devices_.find(path);
    if (!found || found->kind == HostFileKind::directory) return false;
    edits_.devices.push_back({found->path, path, ""});
    return true;
  }

  void require(const std::string& path, const char* what_fails) {
    if (!add(path))
      edits_.warnings.push_back({fmt::format("{} is not there: {}; {}", path, what_fails, k_make_nodes), ""});
  }

 private:
  Edits& edits_;
  const HostView& devices_;
};

std::vector<std::string> dri_nodes(const HostView& host, const NvidiaGpu& gpu) {
  std::vector<std::string> paths;
  for (const std::string& name : host.list(fmt::format("/sys/bus/pci/devices/{}/drm", normal_bus_id(gpu.bus)))) {
    if (name.starts_with("card") || name.starts_with("renderD")) paths.push_back(fmt::format("/dev/dri/{}", name));
  }
  return paths;
}

void add_dri(Edits& edits, Nodes& nodes, const HostView& host, const NvidiaGpu& gpu) {
  for (const std::string& path : dri_nodes(host, gpu)) {
    if (!nodes.add(path)) continue;
    const bool is_card = path.find("/card") != path.npos;
    edits.links.push_back(
        {fmt::format("/dev/dri/by-path/pci-{}-{}", normal_bus_id(gpu.bus), is_card ? "card" : "render"),
         "../" + path.substr(path.rfind('/') + 1), ""});
  }
}

void add_mig(Nodes& nodes, const HostView& host, const SelectedGpu& selected) {
  for (const MigDevice& mig : selected.mig.empty() ? selected.gpu.mig : selected.mig) {
    const std::string gi = fmt::format("gpu{}/gi{}", selected.gpu.minor, mig.gpu_instance);
    for (const std::string& access : {gi + "/access", fmt::format("{}/ci{}/access", gi, mig.compute_instance)}) {
      if (const auto node = mig_capability_node(host, access)) nodes.add(*node);
    }
  }
}

void add_imex(Nodes& nodes, const HostView& devices, std::string_view asked) {
  constexpr const char* k_place = "/dev/nvidia-caps-imex-channels";
  for (const std::string_view word : list_words(asked)) {
    if (word == "all") {
      for (const std::string& name : devices.list(k_place)) nodes.add(fmt::format("{}/{}", k_place, name));
    } else if (whole_number(word)) {
      nodes.add(fmt::format("{}/channel{}", k_place, word));
    }
  }
}

void add_compute(Nodes& nodes, const HostView& devices) {
  nodes.require("/dev/nvidia-uvm", "CUDA does not start without it");
  nodes.add("/dev/nvidia-uvm-tools");
  for (const std::string& name : devices.list("/dev")) {
    if (name == "gdrdrv" || name.starts_with("nvidia-fs")) nodes.add(fmt::format("/dev/{}", name));
  }
}

bool is_selected(const std::vector<SelectedGpu>& selected, unsigned minor) {
  return std::ranges::any_of(selected, [&](const SelectedGpu& each) { return each.gpu.minor == minor; });
}

void hide_others(Edits& edits, const HostView& host, const HostView& devices,
                 const std::vector<SelectedGpu>& selected) {
  for (const std::string& name : devices.list("/dev")) {
    const auto minor = name.starts_with("nvidia") ? whole_number(std::string_view(name).substr(6)) : std::nullopt;
    if (minor && !is_selected(selected, *minor)) edits.hidden.push_back({fmt::format("/dev/{}", name), ""});
  }
  for (const NvidiaGpu& gpu : list_nvidia_gpus(host)) {
    if (is_selected(selected, gpu.minor)) continue;
    for (const std::string& path : dri_nodes(host, gpu)) {
      if (devices.has(path)) edits.hidden.push_back({path, ""});
    }
  }
}

}  // namespace

void add_gpu_nodes(Edits& edits, const HostView& host, const HostView& devices,
                   const std::vector<SelectedGpu>& selected, const HookRequest& request,
                   NvidiaCapabilities capabilities) {
  if (request.device_directory == runtime::DeviceDirectory::hosts) return hide_others(edits, host, devices, selected);
  Nodes nodes(edits, devices);
  nodes.require("/dev/nvidiactl", "no program sees a GPU without it");
  for (const SelectedGpu& each : selected) {
    nodes.require(fmt::format("/dev/nvidia{}", each.gpu.minor), "that GPU can't be used");
    add_mig(nodes, host, each);
    if ((capabilities & (k_graphics | k_display)) != 0) add_dri(edits, nodes, host, each.gpu);
  }
  if ((capabilities & k_display) != 0) nodes.add("/dev/nvidia-modeset");
  if ((capabilities & k_compute) != 0) add_compute(nodes, devices);
  add_imex(nodes, devices, request.environment.value("NVIDIA_IMEX_CHANNELS"));
}

}  // namespace mlctr::hooks
