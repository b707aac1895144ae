// The settings: /etc/mlctr/mlctr.toml, then $XDG_CONFIG_HOME/mlctr/mlctr.toml, then MLCTR_* variables; the last one wins.
// Every value remembers where it came from. An unknown key or a wrong type is an Error with file and line.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mlctr {

/// [registries."host:port"] of the configuration.
struct RegistryConfiguration {
  std::vector<std::string> mirrors;   ///< URLs: "https://mirror.local:5000/prefix"
  bool plain_http = false;
  bool insecure = false;              ///< TLS without verification
  std::string ca_file, client_certificate, client_key;
};

struct Configuration {
  std::filesystem::path store;                          ///< MLCTR_STORE
  std::vector<std::filesystem::path> extra_stores;      ///< read-only ones
  unsigned parallel_downloads = 4;                      ///< pull.parallel_downloads
  unsigned threads = 0;                                 ///< pull.threads; 0: one a processor we may run on
  int compression_level = 1;                            ///< pull.compression_level, zstd's
  std::uint64_t max_layer_bytes = 256ull << 30;         ///< pull.max_layer_bytes, uncompressed
  std::uint64_t max_layer_entries = 20'000'000;         ///< pull.max_layer_entries
  std::uint64_t layer_cache_bytes = 50ull << 30;        ///< store.layer_cache: gc keeps at most this much of unused layers
  std::chrono::seconds stall_timeout{30};               ///< pull.stall_timeout
  std::map<std::string, RegistryConfiguration> registries;

  std::map<std::string, std::string> origins;           ///< "pull.threads" -> "/etc/mlctr/mlctr.toml:12", "MLCTR_PULL_THREADS", "default"
};

Configuration load_configuration();

}  // namespace mlctr
