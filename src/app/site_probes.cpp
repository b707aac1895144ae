#include "app/site_probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "base/ascii.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

constexpr const char* k_plugin = "spank_mlctr.so";
constexpr int k_max_includes = 8;
constexpr std::uint64_t k_max_text_bytes = 1u << 20;

std::vector<std::filesystem::path> matches(const std::string& pattern) {
  std::vector<std::filesystem::path> found;
  glob_t paths{};
  if (::glob(pattern.c_str(), 0, nullptr, &paths) == 0) {
    for (std::size_t i = 0; i < paths.gl_pathc; ++i) found.emplace_back(paths.gl_pathv[i]);
  }
  ::globfree(&paths);
  return found;
}

struct Devices {
  unsigned usable = 0;
  std::optional<std::filesystem::path> forbidden;  // the first that may not be opened
};

Devices open_devices(const std::vector<std::string>& patterns) {
  Devices devices;
  for (const std::string& pattern : patterns) {
    for (const auto& path : matches(pattern)) {
      const Fd device(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
      if (device) ++devices.usable;
      if (!device && (errno == EACCES || errno == EPERM) && !devices.forbidden) devices.forbidden = path;
    }
  }
  return devices;
}

constexpr const char* k_how_seen = "`mlctr run --gpus all` gives them to a container";

Finding judge(const std::string& driver, const Devices& devices, std::vector<std::string> make_devices) {
  if (devices.usable > 0) {
    return fine(
        fmt::format("{}, {} device{} opened; {}", driver, devices.usable, devices.usable == 1 ? "" : "s", k_how_seen));
  }
  if (devices.forbidden) {
    return warning(fmt::format("{}, but {} can't be opened by you: outside of a job that asked for GPUs, that is as it "
                               "should be",
                               driver, devices.forbidden->string()),
                   {"srun --gpus=1 mlctr doctor", "sudo usermod -a -G video,render $USER"});
  }
  return warning(driver + ", but there are no devices in /dev", std::move(make_devices));
}

std::filesystem::path find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    const auto program = std::filesystem::path(directory.empty() ? "." : directory) / name;
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

std::vector<std::filesystem::path> plugstack_files() {
  std::vector<std::filesystem::path> files;
  if (const char* chosen = std::getenv("SLURM_CONF"); chosen != nullptr && *chosen != '\0') {
    files.push_back(std::filesystem::path(chosen).parent_path() / "plugstack.conf");
  }
  for (const char* directory :
       {"/etc/slurm", "/run/slurm/conf", "/etc/slurm-llnl", "/usr/local/etc/slurm", "/opt/slurm/etc"}) {
    files.push_back(std::filesystem::path(directory) / "plugstack.conf");
  }
  return files;
}

void collect_plugins(const std::filesystem::path& plugstack, int depth, std::vector<std::string>& plugins) {
  std::istringstream lines(read_file_if_any(plugstack, k_max_text_bytes));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, argument;
    words >> keyword >> argument;
    if (argument.empty() || keyword.starts_with('#')) continue;
    if (keyword == "include" && depth < k_max_includes) {
      for (const auto& file : matches(plugstack.parent_path() / argument)) collect_plugins(file, depth + 1, plugins);
    } else if (keyword == "required" || keyword == "optional") {
      plugins.push_back(argument);
    }
  }
}

}  // namespace

std::string nvidia_driver_version(std::string_view text) {
  std::istringstream words{std::string(text.substr(0, text.find('\n')))};
  for (std::string word; words >> word;) {
    const bool is_number = word.find_first_not_of("0123456789.") == std::string::npos;
    if (is_number && is_digit(word[0]) && word.find('.') != std::string::npos) return word;
  }
  return "";
}

std::vector<std::string> spank_plugins(const std::filesystem::path& plugstack) {
  std::vector<std::string> plugins;
  collect_plugins(plugstack, 0, plugins);
  return plugins;
}

Finding probe_gpu() {
  if (const std::string text = read_file_if_any("/proc/driver/nvidia/version", k_max_text_bytes); !text.empty()) {
    return judge(fmt::format("NVIDIA driver {}", nvidia_driver_version(text)), open_devices({"/dev/nvidia[0-9]*"}),
                 {"sudo nvidia-modprobe -c 0 -u"});
  }
  if (::access("/sys/module/amdgpu", F_OK) == 0 && ::access("/sys/class/kfd", F_OK) == 0) {
    return judge("AMD driver", open_devices({"/dev/kfd"}), {"sudo modprobe amdgpu"});
  }
  return fine("neither NVIDIA's nor AMD's driver is loaded");
}

Finding probe_slurm() {
  const auto srun = find_program("srun");
  if (srun.empty()) return fine("no srun in PATH: mlctr works without");
  for (const auto& file : plugstack_files()) {
    const auto plugins = spank_plugins(file);
    const bool has_plugin =
        std::ranges::any_of(plugins, [](const std::filesystem::path& plugin) { return plugin.filename() == k_plugin; });
    if (has_plugin) return fine(fmt::format("{}, and {} names {}", srun.string(), file.string(), k_plugin));
  }
  return fine(
      fmt::format("{}, without mlctr's plugin: `mlctr srun --container-image=IMAGE …` needs none", srun.string()));
}

}  // namespace mlctr
