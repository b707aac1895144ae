#include <fmt/format.h>

#include <algorithm>

#include "app/survey_gpus.hpp"
#include "hooks/cdi_catalogue.hpp"
#include "hooks/nvidia_driver.hpp"

namespace mlctr {
namespace {

const std::vector<std::string> k_make_nodes{"sudo nvidia-modprobe -c 0 -u"};

std::string text_of(std::string text) {
  return text.substr(0, text.find('\n'));
}

bool is_display(const hooks::HostView& host, const std::string& device) {
  return host.read(fmt::format("/sys/bus/pci/devices/{}/class", device), 64).starts_with("0x03");
}

// GPUs that no driver shows: their places on the bus.
std::vector<std::string> cards_on_bus(const hooks::HostView& host) {
  std::vector<std::string> places;
  for (const std::string& device : host.list("/sys/bus/pci/devices")) {
    const std::string vendor = text_of(host.read(fmt::format("/sys/bus/pci/devices/{}/vendor", device), 64));
    if ((vendor == "0x10de" || vendor == "0x1002") && is_display(host, device)) places.push_back(device);
  }
  return places;
}

Finding examine_driver(const hooks::HostView& host, const std::vector<SurveyedGpu>& gpus) {
  if (const auto version = hooks::find_nvidia_version(host)) {
    return fine(fmt::format("NVIDIA's kernel module {} is loaded", version->text()));
  }
  if (host.has("/dev/kfd")) return fine("AMD's is loaded");
  if (!gpus.empty()) return fine(gpus.front().vendor + "'s is loaded");
  const auto cards = cards_on_bus(host);
  if (cards.empty()) return failure("neither NVIDIA's, AMD's nor Intel's is loaded, and no GPU is on the bus");
  return failure(fmt::format("none is loaded, but a GPU is on the bus at {}", cards.front()),
                 {"sudo modprobe nvidia    # or amdgpu", "lspci -nnk -s " + cards.front()});
}

Finding examine_nodes(const std::vector<SurveyedGpu>& gpus) {
  const auto is_usable = [](const SurveyedGpu& gpu) { return gpu.problem.empty(); };
  const auto usable = std::ranges::count_if(gpus, is_usable);
  if (gpus.empty()) return failure("the driver shows no GPU");
  const auto other = std::ranges::find_if_not(gpus, is_usable);
  const std::string text = fmt::format("{} of {} can be used", usable, gpus.size());
  if (other == gpus.end()) return fine(text);
  const bool is_missing = other->problem.ends_with("is not there");
  std::vector<std::string> fix = {"srun --gpus=1 mlctr gpus    # a job has those that it asked for"};
  if (is_missing && other->vendor == "NVIDIA") fix = k_make_nodes;
  if (!is_missing && other->vendor != "NVIDIA") fix.push_back("sudo usermod -a -G video,render $USER");
  const std::string whole = fmt::format("{}: {}", text, other->problem);
  return usable == 0 ? failure(whole, fix) : warning(whole, fix);
}

bool has_library(const hooks::NvidiaDriver& driver, std::string_view soname) {
  return std::ranges::find(driver.libraries, soname, &hooks::DriverLibrary::soname) != driver.libraries.end();
}

Finding examine_libraries(const hooks::HostView& host, const hooks::HookSettings& settings) {
  const auto driver = hooks::find_nvidia_driver(host, settings);
  if (!driver || driver->libraries.empty()) {
    return failure("none of the driver's libraries was found",
                   {"sudo apt install libnvidia-compute-NNN    # or the driver's own installer",
                    "MLCTR_GPU_LIBRARY_PATHS=DIRECTORY mlctr doctor --gpu    # where they are elsewhere"});
  }
  for (const char* soname : {"libcuda.so.1", "libnvidia-ml.so.1"}) {
    if (!has_library(*driver, soname)) return failure(fmt::format("{} is missing among them", soname));
  }
  if (!driver->warnings.empty()) return warning(driver->warnings.front(), {"sudo reboot"});
  return fine(fmt::format("{} of {}, in {}", driver->libraries.size(), driver->version.text(),
                          driver->libraries.front().directory.string()));
}

Finding examine_control_nodes(const hooks::HostView& devices) {
  for (const char* node : {"/dev/nvidiactl", "/dev/nvidia-uvm"}) {
    if (!devices.has(node)) return failure(fmt::format("{} is not there: no program can use CUDA", node), k_make_nodes);
    if (!devices.may_use(node)) {
      return failure(fmt::format("{} can't be opened by you", node), {fmt::format("sudo chmod a+rw {}", node)});
    }
  }
  return fine("/dev/nvidiactl and /dev/nvidia-uvm can be opened");
}

Finding examine_cdi(const hooks::HostView& host, const hooks::HookSettings& settings) {
  const hooks::CdiCatalogue catalogue = hooks::read_cdi_catalogue(host, settings.cdi_directories);
  if (!catalogue.broken.empty()) return warning("not used: " + catalogue.broken.front().text());
  if (catalogue.files.empty()) return fine("none, and none is needed");
  std::size_t devices = 0;
  for (const hooks::CdiFile& file : catalogue.files) devices += file.spec.devices.size();
  return fine(fmt::format("{} with {} devices, for --device", catalogue.files.size(), devices));
}

Finding examine_container(const std::vector<SurveyedGpu>& gpus, const std::vector<ProbeResult>& before) {
  const auto failed = std::ranges::find(before, ProbeStatus::failed,
                                        [](const ProbeResult& result) { return result.finding.status; });
  if (failed != before.end()) return failure(fmt::format("would get no GPU: see \"{}\"", failed->name));
  std::vector<std::string> names;
  for (const SurveyedGpu& gpu : gpus) {
    if (gpu.index && gpu.vendor == gpus.front().vendor) names.push_back(fmt::format("{}", *gpu.index));
  }
  return fine(fmt::format("`mlctr run --gpus all …` gets {} GPU{} of {}: {}", names.size(),
                          names.size() == 1 ? "" : "s", gpus.front().vendor, fmt::join(names, ", ")));
}

}  // namespace

std::vector<ProbeResult> examine_gpus(const hooks::HostView& host, const hooks::HookSettings& settings) {
  const std::vector<SurveyedGpu> gpus = survey_gpus(host, settings);
  std::vector<ProbeResult> results;
  results.push_back({"driver", "look for a kernel module, and on the bus", examine_driver(host, gpus)});
  const bool is_nvidia = hooks::find_nvidia_version(host).has_value();
  if (results.front().finding.status == ProbeStatus::ok) {
    results.push_back({"GPUs", "list them, open their nodes", examine_nodes(gpus)});
  }
  if (is_nvidia) {
    results.push_back({"control nodes", "open them", examine_control_nodes(host.below(settings.device_root))});
    results.push_back({"libraries", "look for the driver's", examine_libraries(host, settings)});
  }
  results.push_back({"CDI files", "read them", examine_cdi(host, settings)});
  Finding container = examine_container(gpus, results);
  results.push_back({"a container", "plan what it would get", std::move(container)});
  return results;
}

}  // namespace mlctr
