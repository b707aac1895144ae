#include "hooks/nvml.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "runtime/forked.hpp"

namespace mlctr::hooks {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::seconds k_patience{10};
constexpr std::size_t k_text_bytes = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE
constexpr unsigned k_most_nvml_gpus = 256, k_most_mig = 64;

// As nvml.h has it: nvmlReturn_t is an int with 0 for success, a device a pointer.
using Device = void*;
constexpr int k_success = 0;

// nvmlBrandType_t
constexpr std::array<const char*, 15> k_brands{"unknown", "quadro",      "tesla",     "nvs",       "grid",
                                               "geforce", "titan",       "vapps",     "vpc",       "vcs",
                                               "vws",     "cloudgaming", "quadrortx", "nvidiartx", "nvidia"};

class Nvml {
 public:
  explicit Nvml(const char* library) : handle_(::dlopen(library, RTLD_NOW | RTLD_LOCAL)) {}

  template <class... Parameters>
  bool call(const char* name, Parameters... parameters) const {
    if (handle_ == nullptr) return false;
    auto* function = reinterpret_cast<int (*)(Parameters...)>(::dlsym(handle_, name));
    return function != nullptr && function(parameters...) == k_success;
  }

 private:
  void* handle_;
};

std::string uuid_of(const Nvml& nvml, Device device) {
  std::array<char, k_text_bytes> text{};
  nvml.call("nvmlDeviceGetUUID", device, text.data(), unsigned(text.size() - 1));
  return text.data();
}

Json mig_of(const Nvml& nvml, Device device) {
  Json devices = Json::array();
  unsigned most = 0;
  nvml.call("nvmlDeviceGetMaxMigDeviceCount", device, &most);
  for (unsigned i = 0; i < std::min(most, k_most_mig); ++i) {
    Device mig = nullptr;
    unsigned gi = 0, ci = 0;
    if (!nvml.call("nvmlDeviceGetMigDeviceHandleByIndex", device, i, &mig)) continue;
    if (!nvml.call("nvmlDeviceGetGpuInstanceId", mig, &gi) || !nvml.call("nvmlDeviceGetComputeInstanceId", mig, &ci))
      continue;
    devices.push_back({gi, ci, uuid_of(nvml, mig)});
  }
  return devices;
}

Json gpu_of(const Nvml& nvml, Device device) {
  unsigned minor = 0;
  int major_arch = 0, minor_arch = 0;
  unsigned brand = 0;
  nvml.call("nvmlDeviceGetMinorNumber", device, &minor);
  const bool has_arch = nvml.call("nvmlDeviceGetCudaComputeCapability", device, &major_arch, &minor_arch);
  nvml.call("nvmlDeviceGetBrand", device, &brand);
  return {uuid_of(nvml, device), minor, has_arch ? fmt::format("{}.{}", major_arch, minor_arch) : "",
          brand < k_brands.size() ? k_brands[brand] : "unknown", mig_of(nvml, device)};
}

Json ask_here(const char* library) {
  const Nvml nvml(library);
  if (!nvml.call("nvmlInit_v2")) return nullptr;
  int cuda = 0;
  unsigned count = 0;
  nvml.call("nvmlSystemGetCudaDriverVersion_v2", &cuda);
  nvml.call("nvmlDeviceGetCount_v2", &count);
  Json gpus = Json::array();
  for (unsigned i = 0; i < std::min(count, k_most_nvml_gpus); ++i) {
    Device device = nullptr;
    if (nvml.call("nvmlDeviceGetHandleByIndex_v2", i, &device)) gpus.push_back(gpu_of(nvml, device));
  }
  return {{"cuda", cuda == 0 ? "" : fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10)}, {"gpus", gpus}};
}

NvmlGpu parse_gpu(const Json& json) {
  NvmlGpu gpu{.uuid = json.at(0), .minor = json.at(1), .architecture = json.at(2), .brand = json.at(3), .mig = {}};
  for (const Json& mig : json.at(4)) gpu.mig.push_back({mig.at(0), mig.at(1), mig.at(2)});
  return gpu;
}

}  // namespace

std::optional<NvmlAnswer> ask_nvml(const std::filesystem::path& library) try {
  const runtime::ForkedResult result = runtime::run_forked(
      [&](const runtime::Say& say) {
        // Whoever catches crashes of ours would take one of the library's for one.
        for (const int crash : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) ::signal(crash, SIG_DFL);
        ::clearenv();
        if (::chdir("/") != 0) return;
        // A library's texts may be no UTF-8; nothing may leave as an exception.
        const Json answer = ask_here(library.c_str());
        if (answer.is_object()) say(answer.dump(-1, ' ', false, Json::error_handler_t::replace));
      },
      k_patience);
  const Json json = Json::parse(result.said, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  NvmlAnswer answer{.cuda = json.at("cuda"), .gpus = {}};
  for (const Json& gpu : json.at("gpus")) answer.gpus.push_back(parse_gpu(gpu));
  return answer;
} catch (const Json::exception&) {
  return std::nullopt;
}

}  // namespace mlctr::hooks
