#include "app/survey_gpus.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hooks/amdgpu.hpp"
#include "hooks/nvidia_gpus.hpp"
#include "hooks/render_nodes.hpp"

namespace mlctr {
namespace {

constexpr unsigned k_intel = 0x8086;

std::string problem_of(const hooks::HostView& devices, const std::string& node) {
  if (!devices.has(node)) return node + " is not there";
  return devices.may_use(node) ? "" : node + " can't be opened by you";
}

// Numbered among those that can be used, as its programs number them.
void number(std::vector<SurveyedGpu>& gpus) {
  unsigned next = 0;
  for (SurveyedGpu& gpu : gpus) {
    if (gpu.problem.empty()) gpu.index = next++;
  }
}

std::vector<SurveyedGpu> survey_nvidia(const hooks::HostView& host, const hooks::HookSettings& settings) {
  const hooks::HostView devices = host.below(settings.device_root);
  std::vector<SurveyedGpu> gpus;
  for (const hooks::NvidiaGpu& gpu : hooks::list_nvidia_gpus(host)) {
    const std::string node = fmt::format("/dev/nvidia{}", gpu.minor);
    SurveyedGpu surveyed{.vendor = "NVIDIA",
                         .model = gpu.model,
                         .uuid = gpu.uuid,
                         .bus = gpu.bus,
                         .minor = gpu.minor,
                         .node = node,
                         .problem = problem_of(devices, node)};
    for (const hooks::MigDevice& mig : gpu.mig) {
      surveyed.slices.push_back(fmt::format("gi{}/ci{}", mig.gpu_instance, mig.compute_instance));
    }
    gpus.push_back(std::move(surveyed));
  }
  number(gpus);
  return gpus;
}

std::vector<SurveyedGpu> survey_amd(const hooks::HostView& host) {
  std::vector<SurveyedGpu> gpus;
  const std::string compute = problem_of(host, "/dev/kfd");
  for (const hooks::AmdGpu& gpu : hooks::list_amd_gpus(host)) {
    const std::string node = "/dev/dri/" + gpu.node, own = problem_of(host, node);
    gpus.push_back(
        {.vendor = "AMD", .uuid = gpu.uuid, .bus = gpu.bus, .node = node, .problem = own.empty() ? compute : own});
  }
  number(gpus);
  return gpus;
}

std::vector<SurveyedGpu> survey_intel(const hooks::HostView& host) {
  std::vector<SurveyedGpu> gpus;
  for (const hooks::RenderNode& gpu : hooks::list_render_nodes(host, k_intel)) {
    const std::string node = "/dev/dri/" + gpu.render;
    gpus.push_back({.vendor = "Intel", .bus = gpu.bus, .node = node, .problem = problem_of(host, node)});
  }
  number(gpus);
  return gpus;
}

}  // namespace

std::vector<SurveyedGpu> survey_gpus(const hooks::HostView& host, const hooks::HookSettings& settings) {
  std::vector<SurveyedGpu> gpus = survey_nvidia(host, settings);
  for (auto& more : {survey_amd(host), survey_intel(host)}) gpus.insert(gpus.end(), more.begin(), more.end());
  return gpus;
}

}  // namespace mlctr
