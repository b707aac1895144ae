#include "registry/docker_config.hpp"

#include "registry/base64.hpp"
#include "registry/registry_key.hpp"

namespace mlctr {
namespace {

// "ghcr.io/a/b" of registry and repository, then "ghcr.io/a", then "ghcr.io" and its other names.
std::vector<std::string> keys_to_try(const CredentialQuery& query) {
  std::vector<std::string> keys;
  std::string path = query.repository;
  while (!path.empty()) {
    keys.push_back(normalize_registry(query.registry) + "/" + path);
    const std::size_t slash = path.rfind('/');
    path.resize(slash == std::string::npos ? 0 : slash);
  }
  for (std::string& key : registry_keys(query.registry)) keys.push_back(std::move(key));
  return keys;
}

void decode_auth(const JsonValue& auth, Credential& credential) {
  const std::optional<std::string> pair = decode_base64(auth.as_string());
  const std::size_t colon = pair ? pair->find(':') : std::string::npos;
  if (colon == std::string::npos) auth.fail("it is not USER:PASSWORD in base64", "sign in again with `mlctr login`");
  credential.username = pair->substr(0, colon);
  credential.password = pair->substr(colon + 1);
  // Docker of 2014 padded passwords with NULs; docker still takes them off.
  credential.password.resize(credential.password.find_last_not_of('\0') + 1);
}

// Absent for an empty entry: docker's mark for "a helper has it".
std::optional<Credential> parse_entry(const JsonValue& entry) {
  Credential credential{.username = entry.text_of("username"),
                        .password = entry.text_of("password"),
                        .identity_token = entry.text_of("identitytoken"),
                        .source = {}};
  if (const auto auth = entry.find("auth"); auth && !auth->as_string().empty()) decode_auth(*auth, credential);
  if (credential.username.empty() && credential.identity_token.empty()) return std::nullopt;
  return credential;
}

}  // namespace

DockerConfig DockerConfig::parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return DockerConfig(nlohmann::json::object());
  DockerConfig config(parse_json(text, k_docker_config_limits));
  if (!config.document_.is_object()) JsonValue(config.document_).fail("expected an object");
  return config;
}

std::optional<JsonValue> DockerConfig::entries() const {
  const JsonValue root(document_);
  if (auto auths = root.find("auths")) return auths;
  // A .dockercfg: whatever has an "auth" at the top level is an entry.
  for (const auto& [name, member] : root.members()) {
    if (member.is_object() && member.find("auth")) return root;
  }
  return std::nullopt;
}

std::optional<Credential> DockerConfig::find(const CredentialQuery& query) const {
  const std::optional<JsonValue> auths = entries();
  if (!auths) return std::nullopt;
  const auto accept = [&](const JsonValue& entry) -> std::optional<Credential> {
    std::optional<Credential> credential = parse_entry(entry);
    // An identity token may come without a name; it is someone's all the same.
    if (credential && !query.user.empty() && !credential->username.empty() && credential->username != query.user)
      return {};
    return credential;
  };
  for (const std::string& key : keys_to_try(query)) {
    const std::optional<JsonValue> entry = auths->find(key);
    if (!entry) continue;
    if (auto credential = accept(*entry)) return credential;
  }
  // Then whatever means the registry in its old or odd forms.
  for (const auto& [key, entry] : auths->members()) {
    if (!is_key_of(key, query.registry) || !entry.is_object()) continue;
    if (auto credential = accept(entry)) return credential;
  }
  return std::nullopt;
}

std::optional<std::string> DockerConfig::helper_of(std::string_view registry) const {
  const std::optional<JsonValue> helpers = JsonValue(document_).find("credHelpers");
  if (!helpers) return std::nullopt;
  for (const auto& [key, helper] : helpers->members()) {
    if (is_key_of(key, registry)) return helper.as_string();
  }
  return std::nullopt;
}

std::optional<std::string> DockerConfig::default_helper() const {
  std::string name = JsonValue(document_).text_of("credsStore");  // docker writes "" for none
  return name.empty() ? std::nullopt : std::optional(std::move(name));
}

}  // namespace mlctr
