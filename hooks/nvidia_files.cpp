#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>

#include "base/path.hpp"
#include "hooks/nvidia_plan.hpp"

namespace mlctr::hooks {
namespace {

// Directories whose files of NVIDIA's tell a loader of the driver, below each place of configuration files.
struct ConfigDirectory {
  const char* place;  // below /etc and /usr/share, as in the container
  const char* directory;
  const char* part;  // of the file's name
  NvidiaCapabilities wanted_by;
};
constexpr std::array<ConfigDirectory, 9> k_configs{
    {{"/usr/share", "glvnd/egl_vendor.d", "nvidia", k_graphics},
     {"/usr/share", "egl/egl_external_platform.d", "nvidia", k_graphics},
     {"/usr/share", "nvidia", "nvoptix.bin", k_graphics},
     {"/usr/share", "vulkan/icd.d", "nvidia", k_graphics},
     {"/usr/share", "vulkan/implicit_layer.d", "nvidia_layers", k_graphics},
     {"/etc", "glvnd/egl_vendor.d", "nvidia", k_graphics},
     {"/etc", "vulkan/icd.d", "nvidia", k_graphics},
     {"/etc", "vulkan/implicit_layer.d", "nvidia_layers", k_graphics},
     {"/etc", "OpenCL/vendors", "nvidia", k_compute}}};

void add_config(Edits& edits, const NvidiaDriver& driver, const HookSettings& settings, const ConfigDirectory& config) {
  std::vector<std::filesystem::path> places = settings.config_paths;
  places.emplace_back(config.place);
  if (std::string_view(config.place) == "/usr/share") places.emplace_back("/usr/local/nvidia/share");
  for (const std::filesystem::path& place : places) {
    for (const std::string& name : driver.root.list(place / config.directory)) {
      if (name.find(config.part) == std::string::npos) continue;
      const auto file = driver.root.find(place / config.directory / name);
      if (!file || file->kind != HostFileKind::regular) continue;
      const std::string target = fmt::format("{}/{}/{}", config.place, config.directory, name);
      const bool is_there =
          std::ranges::any_of(edits.mounts, [&](const auto& mount) { return mount.target == target; });
      if (!is_there) edits.mounts.push_back(bind_read_only(file->path, target));
    }
  }
}

void add_socket(Edits& edits, const HostView& host, const std::string& path) {
  const auto found = host.find(path);
  if (found && found->kind == HostFileKind::socket) edits.mounts.push_back(bind_socket(found->path, path));
}

// A directory of pipes. The container has the host's /tmp anyway, and the home.
void add_mps(Edits& edits, const HostView& host, const HookRequest& request) {
  const std::string directory(request.job.value("CUDA_MPS_PIPE_DIRECTORY"));
  if (!directory.starts_with('/') || is_below(directory, "/tmp") || is_below(directory, "/proc")) return;
  const auto found = host.find(directory);
  if (found && found->kind == HostFileKind::directory) edits.mounts.push_back(bind_socket(found->path, directory));
}

void add_read_only(Edits& edits, const HostView& host, const std::string& path) {
  if (const auto found = host.find(path)) edits.mounts.push_back(bind_read_only(found->path, path));
}

bool has_direct_storage(const HostView& host) {
  const auto names = host.list("/dev");
  return std::ranges::any_of(names, [](const std::string& name) { return name.starts_with("nvidia-fs"); });
}

std::string without_device_files(std::string params) {
  constexpr std::string_view k_on = "ModifyDeviceFiles: 1";
  if (const std::size_t at = params.find(k_on); at != params.npos) params[at + k_on.size() - 1] = '0';
  return params;
}

// In a container whose kernel shows no driver (a machine of files, in tests) none of it can be mounted.
void add_proc(Edits& edits, runtime::MountSource source, std::string target, std::uint64_t attributes = 0) {
  edits.mounts.push_back({.source = std::move(source),
                          .target = std::move(target),
                          .attributes = attributes,
                          .if_missing = runtime::IfMissing::skip});
}

}  // namespace

void add_driver_files(Edits& edits, const HostView& host, const NvidiaDriver& driver, const HookRequest& request,
                      NvidiaCapabilities capabilities) {
  for (const ConfigDirectory& config : k_configs) {
    if ((config.wanted_by & capabilities) != 0) add_config(edits, driver, request.settings, config);
  }
  if ((capabilities & k_utility) != 0) {
    add_socket(edits, host, "/run/nvidia-persistenced/socket");
    add_socket(edits, host, "/run/nvidia-fabricmanager/socket");
  }
  if ((capabilities & k_compute) == 0) return;
  add_mps(edits, host, request);
  if (has_direct_storage(host)) {
    add_read_only(edits, host, "/etc/cufile.json");
    add_read_only(edits, host, "/run/udev");
  }
}

void add_driver_proc(Edits& edits, const HostView& host, const std::vector<SelectedGpu>& selected) {
  constexpr const char* k_place = "/proc/driver/nvidia";
  constexpr std::uint64_t k_quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (!host.has(fmt::format("{}/params", k_place))) return;
  add_proc(edits, runtime::TmpfsMount{.mode = 0555, .size_bytes = 1u << 20}, k_place, k_quiet);
  edits.mounts.back().if_no_target = runtime::IfNoTarget::fail;
  for (const char* name : {"params", "version", "registry"}) {
    const std::string path = fmt::format("{}/{}", k_place, name);
    if (host.has(path))
      add_proc(edits, runtime::FileMount{without_device_files(host.read(path))}, path, k_quiet | MOUNT_ATTR_RDONLY);
  }
  for (const SelectedGpu& each : selected) {
    const std::string path = fmt::format("{}/gpus/{}", k_place, each.gpu.bus);
    if (const auto found = host.find(path))
      add_proc(edits, runtime::BindMount{found->path}, path, k_quiet | MOUNT_ATTR_RDONLY);
    for (const MigDevice& mig : each.mig.empty() ? each.gpu.mig : each.mig) {
      const std::string gi = fmt::format("{}/capabilities/gpu{}/mig/gi{}", k_place, each.gpu.minor, mig.gpu_instance);
      for (const std::string& access : {gi + "/access", fmt::format("{}/ci{}/access", gi, mig.compute_instance)}) {
        const auto found = host.find(access);
        if (found) add_proc(edits, runtime::BindMount{found->path}, access, k_quiet | MOUNT_ATTR_RDONLY);
      }
    }
  }
  add_proc(edits, runtime::ChangedMount{}, k_place, MOUNT_ATTR_RDONLY);
}

}  // namespace mlctr::hooks
