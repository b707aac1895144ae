#include "hooks/nvidia.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "hooks/cdi.hpp"
#include "hooks/device_choice.hpp"
#include "hooks/gpu_request.hpp"
#include "hooks/gpu_selection.hpp"
#include "hooks/job_gpus.hpp"
#include "hooks/nvidia_driver.hpp"
#include "hooks/nvidia_plan.hpp"
#include "hooks/nvidia_requirements.hpp"
#include "hooks/nvml.hpp"

namespace mlctr::hooks {
namespace {

using Which = GpuRequest::Which;

// NVML, asked once at most.
class LateNvml {
 public:
  explicit LateNvml(const NvidiaDriver& driver) : driver_(driver) {}

  const std::optional<NvmlAnswer>& answer() {
    if (!std::exchange(was_asked_, true)) {
      const auto library = std::ranges::find(driver_.libraries, "libnvidia-ml.so.1", &DriverLibrary::soname);
      if (library != driver_.libraries.end()) answer_ = ask_nvml(library->source);
    }
    return answer_;
  }

  void fill_in(std::vector<NvidiaGpu>& gpus) {
    if (!answer()) return;
    for (NvidiaGpu& gpu : gpus) {
      const auto found = std::ranges::find(answer()->gpus, gpu.minor, &NvmlGpu::minor);
      if (found == answer()->gpus.end()) continue;
      if (gpu.uuid.empty() || gpu.uuid.find('?') != std::string::npos) gpu.uuid = found->uuid;
      if (!found->mig.empty()) gpu.mig = found->mig;
    }
  }

  std::string cuda() {
    if (const auto known = cuda_of_driver(driver_.version.major())) return known->text();
    return answer() ? answer()->cuda : "";
  }

  std::vector<GpuTraits> traits_of(const std::vector<SelectedGpu>& selected) {
    std::vector<GpuTraits> traits;
    if (!answer()) return traits;
    for (const SelectedGpu& each : selected) {
      const auto found = std::ranges::find(answer()->gpus, each.gpu.minor, &NvmlGpu::minor);
      if (found != answer()->gpus.end()) traits.push_back({found->architecture, found->brand});
    }
    return traits;
  }

 private:
  const NvidiaDriver& driver_;
  bool was_asked_ = false;
  std::optional<NvmlAnswer> answer_;
};

// "CUDA_VISIBLE_DEVICES" counts what is seen: others are first by then.
void add_renumbering(Edits& edits, const std::vector<NvidiaGpu>& usable, const std::vector<SelectedGpu>& selected) {
  if (usable.size() == selected.size()) return;
  runtime::Renumbering renumbering{.variable = "CUDA_VISIBLE_DEVICES", .numbers = {}};
  for (std::size_t i = 0; i < selected.size(); ++i) {
    renumbering.numbers.emplace_back(selected[i].gpu.index, static_cast<unsigned>(i));
  }
  edits.renumbered.push_back(std::move(renumbering));
}

std::string names_of(const std::vector<SelectedGpu>& selected) {
  if (selected.empty()) return "none";
  std::vector<std::string> names;
  for (const SelectedGpu& each : selected) {
    const bool has_uuid = !each.gpu.uuid.empty() && each.gpu.uuid.find('?') == std::string::npos;
    if (each.mig.empty()) names.push_back(has_uuid ? each.gpu.uuid : fmt::format("{}", each.gpu.index));
    for (const MigDevice& mig : each.mig) {
      names.push_back(mig.uuid.empty() ? fmt::format("MIG-{}/{}/{}", each.gpu.uuid, mig.gpu_instance, mig.compute_instance)
                                       : mig.uuid);
    }
  }
  return fmt::format("{}", fmt::join(names, ","));
}

// Programs, and an mlctr inside, are told what is there, whatever host or image had in that variable.
void tell_program(Edits& edits, const GpuRequest& asked, const std::vector<SelectedGpu>& selected) {
  if (asked.asker != Asker::user) return;
  edits.environment.push_back(
      {"NVIDIA_VISIBLE_DEVICES", asked.which == Which::all ? "all" : names_of(selected), asked.origin});
}

[[noreturn]] void refuse_no_driver(const GpuRequest& asked, const HostView& host) {
  throw Error(fmt::format("{}: this host has no NVIDIA driver that works", asked.origin),
              host.has("/dev/nvidia0") || host.has("/proc/driver/nvidia")
                  ? "its kernel module is there, its libraries were not found: gpu.library_paths names their directory"
                  : "`mlctr gpus` shows what it has; without --gpus the program runs on the CPU");
}

[[noreturn]] void refuse_no_gpu(const GpuRequest& asked, std::size_t all) {
  throw Error(fmt::format("{}: there is no GPU to use", asked.origin),
              all == 0 ? "the driver shows none: `nvidia-smi` says more"
                       : fmt::format("of {} here none may be opened: in a Slurm job, ask for one (--gres=gpu:1); else "
                                     "see the modes of /dev/nvidia*",
                                     all));
}

Edits plan_wsl(const HostView& host, const NvidiaDriver& driver, const HookRequest& request,
               NvidiaCapabilities capabilities) {
  Edits edits;
  const auto node = host.find("/dev/dxg");
  edits.devices.push_back({node->path, "/dev/dxg", ""});
  add_driver_libraries(edits, driver, request.settings, capabilities);
  add_driver_programs(edits, driver, request, capabilities);
  if (const auto drivers = host.find("/usr/lib/wsl/drivers")) {
    edits.mounts.push_back(bind_read_only(drivers->path, "/usr/lib/wsl/drivers"));
  }
  return edits;
}

// A CDI file's, or another vendor's.
bool is_for_others(const HostView& host, const HookRequest& request) {
  const CdiKind own{"nvidia.com", "gpu"};
  if (is_given_by_cdi(host, request, own)) return true;
  if (native_device_list(host, request, own)) return false;
  if (!request.gpus) return is_for_cdi(request.environment.value("NVIDIA_VISIBLE_DEVICES"), own);
  const GpuVendor vendor = gpu_vendor(host);
  return is_for_cdi(*request.gpus, own) || vendor == GpuVendor::amd || vendor == GpuVendor::intel;
}

HostView devices_of(const HostView& host, const HookSettings& settings) {
  return host.below(settings.device_root);
}

std::vector<SelectedGpu> choose(const GpuRequest& asked, const std::vector<NvidiaGpu>& usable,
                                const HookRequest& request, LateNvml& nvml) {
  GpuChoice choice{.usable = usable,
                   .of_step = gpus_of_step(request.job),
                   .visible = std::string(request.job.value("CUDA_VISIBLE_DEVICES")),
                   .ask_nvml = [&](std::vector<NvidiaGpu>& gpus) { nvml.fill_in(gpus); }};
  // A device cgroup has settled it: the numbers of Slurm's variable are not those of the nodes seen here then.
  if (choice.of_step && !choice.of_step->empty() && usable.size() <= choice.of_step->size()) choice.of_step.reset();
  try {
    return select_gpus(asked, std::move(choice));
  } catch (Error& error) {
    error.add_context(asked.origin);
    throw;
  }
}

}  // namespace

Edits nvidia_edits(const HostView& host, const HookRequest& request) {
  if (is_for_others(host, request)) return {};
  const GpuRequest asked = gpu_request(request);
  if (asked.which == Which::nothing) return {};
  const auto driver = find_nvidia_driver(host, request.settings);
  const NvidiaCapabilities capabilities = parse_nvidia_capabilities(asked.capabilities);
  if (!driver || driver->libraries.empty()) {
    if (asked.asker == Asker::image) return {};
    refuse_no_driver(asked, host);
  }
  const HostView devices = devices_of(host, request.settings);
  if (devices.has("/dev/dxg")) return plan_wsl(devices, *driver, request, capabilities);
  const auto all = list_nvidia_gpus(host);
  const auto usable = usable_gpus(devices, all);
  LateNvml nvml(*driver);
  const auto selected = choose(asked, usable, request, nvml);
  if (selected.empty() && asked.which != Which::none) {
    if (asked.asker == Asker::image) return {};
    refuse_no_gpu(asked, all.size());
  }
  if (!selected.empty()) {
    check_nvidia_requirements(request.environment, {.driver = driver->version,
                                                    .cuda = [&] { return nvml.cuda(); },
                                                    .gpus = [&] { return nvml.traits_of(selected); }});
  }
  Edits edits;
  for (const std::string& warning : driver->warnings) edits.warnings.push_back({warning, ""});
  add_gpu_nodes(edits, host, devices, selected, request, capabilities);
  add_driver_libraries(edits, *driver, request.settings, capabilities);
  add_driver_programs(edits, *driver, request, capabilities);
  add_driver_files(edits, host, *driver, request, capabilities);
  add_driver_proc(edits, host, selected);
  add_renumbering(edits, usable, selected);
  tell_program(edits, asked, selected);
  if ((capabilities & k_compute) != 0) set_forward_compat(edits, driver->version, request.settings);
  return edits;
}

}  // namespace mlctr::hooks
