// The settings: /etc/mlctr/mlctr.toml, then $XDG_CONFIG_HOME/mlctr/mlctr.toml, then MLCTR_* variables; the last one
// wins. Every value remembers where it came from. An unknown key or a wrong type is an Error with file and line. What
// each setting is called, takes and means stands once, in the table of settings.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "hooks/driver_choices.hpp"
#include "runtime/rootfs_choice.hpp"

namespace mlctr {

/// [registries."host:port"] of the configuration.
struct RegistryConfiguration {
  std::vector<std::string> mirrors;  ///< URLs: "https://mirror.local:5000/prefix"
  bool plain_http = false;
  bool insecure = false;  ///< TLS without verification
  std::string ca_file, client_certificate, client_key;
};

/// Whose a --container-name is on a node: the user's, or the job's alone.
enum class ContainerScope { global, job };

/// Where the changes of an unnamed container go, which end with it. automatic: to memory, where that can keep all of
/// them.
enum class ChangesPlace { automatic, memory, disk };

struct Configuration {
  std::filesystem::path store;                      ///< store, MLCTR_STORE; empty only where there is no home either
  std::filesystem::path containers;                 ///< containers; empty: containers/ in the store
  std::vector<std::filesystem::path> extra_stores;  ///< extra_stores: read-only ones
  unsigned parallel_downloads = 4;                  ///< pull.parallel_downloads
  unsigned threads = 0;                             ///< pull.threads; 0: one a processor we may run on
  int compression_level = 1;                        ///< pull.compression_level, zstd's
  std::uint64_t max_layer_bytes = 256ull << 30;     ///< pull.max_layer_bytes, uncompressed
  std::uint64_t max_layer_entries = 20'000'000;     ///< pull.max_layer_entries
  std::uint64_t layer_cache_bytes = 50ull << 30;    ///< gc.layer_cache: gc keeps at most this much of layers
  std::chrono::seconds stall_timeout{30};           ///< pull.stall_timeout
  runtime::RootfsChoice rootfs = runtime::RootfsChoice::automatic;                           ///< run.rootfs
  ChangesPlace changes = ChangesPlace::automatic;                                            ///< run.changes
  std::chrono::seconds hook_timeout{30};                                                     ///< run.hook_timeout
  std::filesystem::path gpu_driver_root = "/";                                               ///< gpu.driver_root
  std::filesystem::path gpu_device_root = "/";                                               ///< gpu.dev_root
  std::vector<std::filesystem::path> gpu_library_paths, gpu_binary_paths, gpu_config_paths;  ///< gpu.library_paths …
  hooks::ForwardCompat gpu_forward_compat = hooks::ForwardCompat::automatic;                 ///< gpu.forward_compat
  std::vector<std::filesystem::path> cdi_allowed_hooks;                                      ///< cdi.allowed_hooks
  hooks::DriverLayout gpu_driver_lib_layout = hooks::DriverLayout::own;                      ///< gpu.driver_lib_layout
  ContainerScope container_scope = ContainerScope::global;                                   ///< slurm.container_scope
  bool is_step_quiet = false;                                                                ///< slurm.quiet
  std::map<std::string, RegistryConfiguration> registries;

  /// Where hooks.d, mounts.d and environ.d are, beside the files of settings; empty where there is none.
  std::filesystem::path system_directory, user_directory;

  std::map<std::string, std::string>
      origins;  ///< "pull.threads" -> "/etc/mlctr/mlctr.toml:12", "MLCTR_PULL_THREADS", "default"
};

/// Where settings are read from. A file that does not exist is skipped; an empty path too.
struct ConfigurationSources {
  std::filesystem::path system_file;
  std::filesystem::path user_file;
  std::map<std::string, std::string> environment;

  /// Of this process.
  static ConfigurationSources of_process();
};

/// Throws Error: "FILE:LINE: what is wrong", and for a file that others could have written.
Configuration load_configuration(const ConfigurationSources& sources);
Configuration load_configuration();

/// One line of `mlctr config`.
struct SettingValue {
  std::string key;       ///< as in a file: "pull.threads", "registries.\"localhost:5000\".plain_http"
  std::string value;     ///< as a TOML value
  std::string origin;    ///< "default", "MLCTR_PULL_THREADS", "/etc/mlctr/mlctr.toml:12"
  std::string variable;  ///< the environment variable that sets it; empty where none does
  std::string description;
};

/// Every setting in the table's order, then the registries'.
std::vector<SettingValue> list_settings(const Configuration& configuration);

}  // namespace mlctr
