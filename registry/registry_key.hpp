// The names under which credential files keep one registry: "ghcr.io", "https://ghcr.io/v1/", Docker Hub's several.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// What `docker login` calls a registry, in its config.json and to helpers: Docker Hub goes by the URL of its first
/// API.
std::string docker_key(std::string_view registry);

/// The keys to try for a registry, the most usual first.
std::vector<std::string> registry_keys(std::string_view registry);

/// Whether `key`, as found in a file or a helper's list, means `registry`: scheme and path are those of old API URLs,
/// case does not matter. A key without a scheme but with a path is a namespace ("ghcr.io/owner"), not the registry.
bool is_key_of(std::string_view key, std::string_view registry);

/// Lower-case, Docker Hub's host names as "docker.io".
std::string normalize_registry(std::string_view host);

}  // namespace mlctr
