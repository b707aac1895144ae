// An image's configuration (OCI image-spec config.md; Docker's has the same shape). Hostile input, bounded as manifests
// are.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.hpp"
#include "image/platform.hpp"

namespace mlctr {

inline constexpr std::uint64_t k_max_config_bytes = 8u << 20;

struct ImageConfig {
  Platform platform;
  std::string created;  ///< RFC 3339, as written; empty where absent
  std::string author;
  std::vector<Digest> diff_ids;          ///< one a layer, base first: SHA-256 of the uncompressed tar
  std::vector<std::string> environment;  ///< "NAME=VALUE", in order
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;  ///< "Cmd"
  std::string working_directory;
  std::string user;
  std::string stop_signal;
  std::vector<std::string> shell;
  std::vector<std::string> volumes;        ///< sorted
  std::vector<std::string> exposed_ports;  ///< sorted
  std::map<std::string, std::string> labels;
};

/// Throws Error that names the JSON path of what is wrong.
ImageConfig parse_image_config(std::string_view body);

}  // namespace mlctr
