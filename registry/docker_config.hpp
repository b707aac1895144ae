// Docker's config.json and containers' auth.json, read for credentials:
//   {"auths": {KEY: {"auth": base64(USER ":" PASSWORD), "identitytoken": …}}, "credHelpers": {HOST: NAME},
//   "credsStore": NAME}
// KEY is a host, an old API URL ("https://index.docker.io/v1/") or, in auth.json, HOST/NAMESPACE…. The older
// .dockercfg, which has the entries at the top level, is read as well. (docker/cli configfile, containers-auth.json(5))
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "image/json_value.hpp"
#include "registry/credentials.hpp"

namespace mlctr {

inline constexpr JsonLimits k_docker_config_limits{.max_bytes = 4u << 20, .max_depth = 64, .max_values = 20'000};

class DockerConfig {
 public:
  /// An empty text is an empty config. Throws Error that names line and column or the JSON path, never a value.
  static DockerConfig parse(std::string_view text);

  /// The entry that fits best: the longest namespace, then the registry under any of its names. An entry of another
  /// user than query.user is passed over. `source` is left empty.
  std::optional<Credential> find(const CredentialQuery& query) const;

  /// The helper of this registry (credHelpers), and the one for all others (credsStore).
  std::optional<std::string> helper_of(std::string_view registry) const;
  std::optional<std::string> default_helper() const;

 private:
  explicit DockerConfig(nlohmann::json document) : document_(std::move(document)) {}
  std::optional<JsonValue> entries() const;

  nlohmann::json document_;
};

}  // namespace mlctr
