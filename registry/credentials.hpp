// Who we are at a registry, from the places users already keep that (in this order, first match wins):
//   $REGISTRY_AUTH_FILE; $DOCKER_CONFIG/config.json or ~/.docker/config.json; $XDG_RUNTIME_DIR/containers/auth.json;
//   $XDG_CONFIG_HOME/containers/auth.json; enroot's $ENROOT_CONFIG_PATH/.credentials (netrc: machine HOST login USER
//   password PW)
// config.json: auths (auth, identitytoken, username/password), credHelpers, credsStore (docker-credential-NAME
// protocol). Secrets live in Credential only: never logged, never in an argv, files 0600.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mlctr {

struct Credential {
  std::string username;
  std::string password;
  std::string identity_token;  ///< an OAuth2 refresh token; where set, it is used instead of the password
  std::string source;          ///< where it came from, for messages: "~/.docker/config.json", "docker-credential-pass"
};

struct CredentialQuery {
  std::string registry;    ///< "docker.io", "host:port"
  std::string repository;  ///< containers auth.json may name registry/namespace: the longest match wins
  std::string user;        ///< empty: any
};

/// Absent where no place has one. A place that is broken (bad JSON, helper failing) is an Error that names it.
std::optional<Credential> find_credential(const CredentialQuery& query);

/// Stores a credential as `docker login` does: with the configured helper, else in the file (0600, written atomically,
/// all other content kept). Returns where.
std::string store_credential(const std::string& registry, const Credential& credential);

/// Removes it everywhere store_credential could have put it; false where there was none.
bool erase_credential(const std::string& registry);

}  // namespace mlctr
