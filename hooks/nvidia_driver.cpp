#include "hooks/nvidia_driver.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "hooks/list_words.hpp"
#include "runtime/elf_library.hpp"
#include "runtime/ld_cache.hpp"

namespace mlctr::hooks {
namespace {

using runtime::LoaderArchitecture;

#if defined(__aarch64__)
constexpr std::uint16_t k_machine = EM_AARCH64;
constexpr LoaderArchitecture k_architecture = LoaderArchitecture::aarch64;
constexpr const char* k_triplet = "aarch64-linux-gnu";
#else
constexpr std::uint16_t k_machine = EM_X86_64;
constexpr LoaderArchitecture k_architecture = LoaderArchitecture::x86_64;
constexpr const char* k_triplet = "x86_64-linux-gnu";
#endif
constexpr const char* k_driver_container = "/run/nvidia/driver";
constexpr const char* k_wsl_libraries = "/usr/lib/wsl/lib";

std::vector<std::filesystem::path> library_directories(const HookSettings& settings) {
  if (!settings.library_paths.empty()) return settings.library_paths;
  std::vector<std::filesystem::path> directories;
  for (const std::string& each :
       {std::string("/usr/lib64"), fmt::format("/usr/lib/{}", k_triplet),
        fmt::format("/usr/lib/{}/nvidia/current", k_triplet), std::string("/lib64"), fmt::format("/lib/{}", k_triplet),
        std::string("/usr/local/nvidia/lib64"), std::string("/usr/local/nvidia/lib"),
        std::string("/run/opengl-driver/lib"), std::string(k_wsl_libraries), std::string("/usr/lib"),
        std::string("/usr/lib32"), std::string("/usr/lib/i386-linux-gnu"),
        std::string("/usr/lib/i386-linux-gnu/nvidia/current")}) {
    directories.emplace_back(each);
  }
  return directories;
}

// Directories that the host's own loader knows: a driver may be anywhere.
void add_cached_directories(const HostView& root, std::vector<std::filesystem::path>& directories) {
  const auto cache = runtime::parse_ld_cache(root.read("/etc/ld.so.cache", runtime::k_max_ld_cache_bytes));
  if (!cache) return;
  for (const runtime::LdCacheEntry& entry : cache->entries) {
    if (entry.name != "libcuda.so.1" && entry.name != "libnvidia-ml.so.1") continue;
    const std::filesystem::path directory = std::filesystem::path(entry.path).parent_path();
    if (std::ranges::find(directories, directory) == directories.end()) directories.push_back(directory);
  }
}

struct LibraryName {
  std::string_view stem;     // "libcuda"
  std::string_view version;  // "580.159.04", "1"
};

std::optional<LibraryName> split_name(std::string_view name) {
  const std::size_t at = name.find(".so.");
  if (at == name.npos || !name.starts_with("lib")) return std::nullopt;
  return LibraryName{name.substr(0, at), name.substr(at + 4)};
}

// These carry versions of their own, and in WSL no library carries one.
bool has_own_version(std::string_view stem) {
  constexpr std::array<std::string_view, 3> k_own{"libnvidia-api", "libnvidia-nvvm70", "libnvidia-egl-"};
  return std::ranges::any_of(k_own, [&](std::string_view own) { return stem.starts_with(own); });
}

class LibrarySearch {
 public:
  LibrarySearch(const HostView& root, const DriverVersion& version) : root_(root), version_(version) {}

  void look_in(const std::filesystem::path& directory) {
    const auto found = root_.find(directory);
    if (!found || !seen_.insert(found->path).second) return;  // /lib64 may be a link to /usr/lib64
    is_wsl_ = directory == k_wsl_libraries;
    look_in(directory, "");
    for (const char* subdirectory : {"vdpau", "gbm"}) look_in(directory, subdirectory);
  }

  std::vector<DriverLibrary> take() { return std::move(libraries_); }

 private:
  void look_in(const std::filesystem::path& directory, const std::string& subdirectory) {
    const std::filesystem::path place = subdirectory.empty() ? directory : directory / subdirectory;
    for (const std::string& name : root_.list(place)) {
      const auto split = split_name(name);
      if (split && is_wanted(*split)) add(directory, subdirectory, name, split->stem);
    }
  }

  bool is_wanted(const LibraryName& name) const {
    const auto known = capabilities_of_library(name.stem);
    if (known == k_no_capability) return false;
    if (name.version == version_.text()) return known || name.stem.find("nvidia") != name.stem.npos;
    return known && (is_wsl_ || has_own_version(name.stem));
  }

  void add(const std::filesystem::path& directory, const std::string& subdirectory, const std::string& name,
           std::string_view stem) {
    const auto file = root_.open(place_of(directory, subdirectory) / name);
    const auto elf = file ? runtime::read_elf_library(file->get()) : std::nullopt;
    if (!elf) return;
    const bool is_own = elf->machine == k_machine && elf->is_64_bit;
    if (!is_own && !(elf->machine == EM_386 && k_machine == EM_X86_64)) return;
    const LoaderArchitecture architecture = is_own ? k_architecture : LoaderArchitecture::i386;
    if (is_known(name, architecture)) return;
    const auto found = root_.find(place_of(directory, subdirectory) / name);
    if (!found) return;
    NvidiaCapabilities wanted_by = capabilities_of_library(stem).value_or(k_graphics);
    libraries_.push_back({found->path, name, subdirectory, directory, elf->soname, architecture, wanted_by});
  }

  static std::filesystem::path place_of(const std::filesystem::path& directory, const std::string& subdirectory) {
    return subdirectory.empty() ? directory : directory / subdirectory;
  }

  bool is_known(const std::string& name, LoaderArchitecture architecture) const {
    return std::ranges::any_of(libraries_, [&](const DriverLibrary& library) {
      return library.name == name && library.architecture == architecture;
    });
  }

  const HostView& root_;
  const DriverVersion& version_;
  std::set<std::filesystem::path> seen_;
  std::vector<DriverLibrary> libraries_;
  bool is_wsl_ = false;
};

// The versions of the libraries there are, by libcuda's (or NVML's) file names.
std::vector<DriverVersion> library_versions(const HostView& root,
                                            const std::vector<std::filesystem::path>& directories) {
  std::vector<DriverVersion> versions;
  for (const std::filesystem::path& directory : directories) {
    for (const std::string& name : root.list(directory)) {
      const auto split = split_name(name);
      if (!split || (split->stem != "libcuda" && split->stem != "libnvidia-ml")) continue;
      auto version = DriverVersion::parse(split->version);
      if (version && split->version.find('.') != split->version.npos) versions.push_back(std::move(*version));
    }
  }
  return versions;
}

std::optional<DriverVersion> kernel_version(const HostView& host) {
  if (auto version = DriverVersion::find_in(host.read("/proc/driver/nvidia/version"))) return version;
  return DriverVersion::parse(trimmed(host.read("/sys/module/nvidia/version")));
}

bool has_libraries(const HostView& root, const HookSettings& settings) {
  auto directories = library_directories(settings);
  add_cached_directories(root, directories);
  return !library_versions(root, directories).empty() || root.has(fmt::format("{}/libcuda.so.1", k_wsl_libraries));
}

// The settings' root, else the host's, else a driver container's.
HostView driver_root(const HostView& host, const HookSettings& settings) {
  if (settings.driver_root != "/") return host.below(settings.driver_root);
  if (!has_libraries(host, settings) && host.has(std::string(k_driver_container) + "/usr")) {
    return host.below(k_driver_container);
  }
  return host.below("/");
}

}  // namespace

std::optional<DriverVersion> find_nvidia_version(const HostView& host) {
  return kernel_version(host);
}

std::optional<NvidiaDriver> find_nvidia_driver(const HostView& host, const HookSettings& settings) {
  auto version = kernel_version(host);
  const bool is_wsl = host.has("/dev/dxg");
  if (!version && !is_wsl && !host.has("/dev/nvidiactl")) return std::nullopt;
  NvidiaDriver driver{.version = {}, .root = driver_root(host, settings), .libraries = {}, .warnings = {}};
  auto directories = library_directories(settings);
  if (settings.library_paths.empty()) add_cached_directories(driver.root, directories);
  const auto versions = library_versions(driver.root, directories);
  if (!version && versions.empty() && !is_wsl) return std::nullopt;
  if (!version && !versions.empty()) version = versions[0];
  if (version && !versions.empty() && std::ranges::find(versions, *version) == versions.end()) {
    driver.warnings.push_back(
        fmt::format("the kernel's driver is {}, its libraries here are {}: programs will not get "
                    "along with it until they are the same",
                    version->text(), versions[0].text()));
    version = versions[0];
  }
  driver.version = version.value_or(DriverVersion());
  LibrarySearch search(driver.root, driver.version);
  for (const std::filesystem::path& directory : directories) search.look_in(directory);
  driver.libraries = search.take();
  return driver;
}

std::vector<DriverProgram> find_nvidia_programs(const NvidiaDriver& driver, const HookSettings& settings,
                                                std::string_view path, NvidiaCapabilities capabilities) {
  std::vector<std::filesystem::path> directories = settings.binary_paths;
  for (const std::string_view word : list_words(path, ':')) directories.emplace_back(word);
  for (const char* each : {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
                           "/usr/local/nvidia/bin", "/usr/lib/wsl/lib"}) {
    directories.emplace_back(each);
  }
  std::vector<DriverProgram> programs;
  for (const NvidiaProgram& program : nvidia_programs()) {
    if ((program.wanted_by & capabilities) == 0) continue;
    for (const std::filesystem::path& directory : directories) {
      if (!directory.is_absolute()) continue;
      const auto found = driver.root.find(directory / program.name);
      if (!found || found->kind != HostFileKind::regular || (found->mode & 0111) == 0) continue;
      programs.push_back({found->path, std::string(program.name)});
      break;
    }
  }
  return programs;
}

}  // namespace mlctr::hooks
