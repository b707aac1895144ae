#include "registry/registry_key.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_hub = "docker.io";
constexpr std::string_view k_hub_key = "https://index.docker.io/v1/";
// auth.docker.io is what older versions of enroot wanted in their netrc.
constexpr std::array<std::string_view, 4> k_hub_hosts{k_hub, "index.docker.io", "registry-1.docker.io",
                                                      "auth.docker.io"};

}  // namespace

std::string normalize_registry(std::string_view host) {
  std::string lower = lowered(host);
  return std::ranges::find(k_hub_hosts, lower) != k_hub_hosts.end() ? std::string(k_hub) : lower;
}

std::string docker_key(std::string_view registry) {
  const std::string host = normalize_registry(registry);
  return host == k_hub ? std::string(k_hub_key) : host;
}

std::vector<std::string> registry_keys(std::string_view registry) {
  const std::string host = normalize_registry(registry);
  if (host != k_hub) return {host};
  return {std::string(k_hub), std::string(k_hub_key), "index.docker.io", "registry-1.docker.io"};
}

bool is_key_of(std::string_view key, std::string_view registry) {
  // Old API URLs: "https://ghcr.io/v1/". Without a scheme a path is a namespace and stays, so that it matches no host.
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!key.starts_with(scheme)) continue;
    key.remove_prefix(scheme.size());
    key = key.substr(0, key.find('/'));
  }
  return normalize_registry(key) == normalize_registry(registry);
}

}  // namespace mlctr
