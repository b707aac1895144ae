#include "hooks/nvidia_capabilities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/list_words.hpp"

namespace mlctr::hooks {
namespace {

struct NamedCapability {
  std::string_view name;
  NvidiaCapabilities flags;
};
constexpr std::array<NamedCapability, 8> k_names{{{"utility", k_utility},
                                                  {"compute", k_compute},
                                                  {"video", k_video | k_compute},
                                                  {"graphics", k_graphics},
                                                  {"display", k_display | k_graphics},
                                                  {"ngx", k_ngx},
                                                  {"compat32", k_compat32},
                                                  {"all", k_all_capabilities}}};
constexpr std::string_view k_known = "utility, compute, video, graphics, display, ngx, compat32, all";

struct NamedLibrary {
  std::string_view stem;
  NvidiaCapabilities wanted_by;
};
constexpr std::array<NamedLibrary, 52> k_libraries{{{"libnvidia-ml", k_utility},
                                                    {"libnvidia-cfg", k_utility},
                                                    {"libnvidia-nscq", k_utility},
                                                    {"libnvidia-api", k_utility},
                                                    {"libnvidia-sandboxutils", k_utility},
                                                    {"libcuda", k_compute},
                                                    {"libcudadebugger", k_compute},
                                                    {"libnvidia-opencl", k_compute},
                                                    {"libnvidia-gpucomp", k_compute | k_graphics},
                                                    {"libnvidia-ptxjitcompiler", k_compute},
                                                    {"libnvidia-fatbinaryloader", k_compute},
                                                    {"libnvidia-allocator", k_compute | k_graphics},
                                                    {"libnvidia-compiler", k_compute},
                                                    {"libnvidia-pkcs11", k_compute},
                                                    {"libnvidia-pkcs11-openssl3", k_compute},
                                                    {"libnvidia-nvvm", k_compute},
                                                    {"libnvidia-nvvm70", k_compute},
                                                    {"libnvidia-tileiras", k_compute},
                                                    {"libvdpau_nvidia", k_video},
                                                    {"libnvidia-encode", k_video},
                                                    {"libnvidia-opticalflow", k_video},
                                                    {"libnvcuvid", k_video},
                                                    {"libnvidia-eglcore", k_graphics},
                                                    {"libnvidia-glcore", k_graphics},
                                                    {"libnvidia-tls", k_graphics},
                                                    {"libnvidia-glsi", k_graphics},
                                                    {"libnvidia-glvkspirv", k_graphics},
                                                    {"libnvidia-rtcore", k_graphics},
                                                    {"libnvidia-cbl", k_graphics},
                                                    {"libnvidia-fbc", k_graphics},
                                                    {"libnvoptix", k_graphics},
                                                    {"libGLX_nvidia", k_graphics},
                                                    {"libEGL_nvidia", k_graphics},
                                                    {"libGLESv2_nvidia", k_graphics},
                                                    {"libGLESv1_CM_nvidia", k_graphics},
                                                    {"libnvidia-egl-gbm", k_graphics},
                                                    {"libnvidia-egl-wayland", k_graphics},
                                                    {"libnvidia-egl-wayland2", k_graphics},
                                                    {"libnvidia-egl-xcb", k_graphics},
                                                    {"libnvidia-egl-xlib", k_graphics},
                                                    {"libnvidia-vulkan-producer", k_graphics},
                                                    {"libnvidia-vksc-core", k_graphics},
                                                    {"libnvidia-present", k_graphics},
                                                    {"libnvidia-wayland-client", k_graphics},
                                                    {"libnvidia-ngx", k_ngx},
                                                    // Anybody's: a host's would not fit the image's.
                                                    {"libGL", k_no_capability},
                                                    {"libEGL", k_no_capability},
                                                    {"libGLX", k_no_capability},
                                                    {"libOpenGL", k_no_capability},
                                                    {"libGLdispatch", k_no_capability},
                                                    {"libGLESv2", k_no_capability},
                                                    {"libGLESv1_CM", k_no_capability}}};

constexpr std::array<NvidiaProgram, 8> k_programs{{{"nvidia-smi", k_utility},
                                                   {"nvidia-debugdump", k_utility},
                                                   {"nvidia-persistenced", k_utility},
                                                   {"nv-fabricmanager", k_utility},
                                                   {"nvidia-cuda-mps-control", k_compute},
                                                   {"nvidia-cuda-mps-server", k_compute},
                                                   {"nvidia-imex", k_compute},
                                                   {"nvidia-imex-ctl", k_compute}}};

}  // namespace

NvidiaCapabilities parse_nvidia_capabilities(std::string_view text) {
  const auto words = list_words(text);
  if (words.empty()) return k_compute | k_utility;
  NvidiaCapabilities capabilities = k_no_capability;
  for (const std::string_view word : words) {
    const auto found = std::ranges::find(k_names, word, &NamedCapability::name);
    if (found == k_names.end()) {
      throw Error(fmt::format("no driver capability is called '{}'", printable(word)),
                  fmt::format("NVIDIA_DRIVER_CAPABILITIES takes {}", k_known));
    }
    capabilities |= found->flags;
  }
  return capabilities;
}

std::optional<NvidiaCapabilities> capabilities_of_library(std::string_view stem) {
  const auto found = std::ranges::find(k_libraries, stem, &NamedLibrary::stem);
  return found == k_libraries.end() ? std::nullopt : std::optional(found->wanted_by);
}

std::span<const NvidiaProgram> nvidia_programs() {
  return k_programs;
}

}  // namespace mlctr::hooks
