#include "registry/credentials.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/file.hpp"
#include "registry/credential_helper.hpp"
#include "registry/docker_config.hpp"
#include "registry/docker_config_file.hpp"
#include "registry/netrc.hpp"
#include "registry/registry_key.hpp"

namespace mlctr {
namespace {

namespace fs = std::filesystem;

// Empty where the variable is not set: nobody means the current directory by an empty path.
fs::path path_in_environment(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? fs::path() : fs::path(value);
}

fs::path home() {
  if (fs::path directory = path_in_environment("HOME"); !directory.empty()) return directory;
  // Slurm's --export=NONE and cron leave HOME out.
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  ::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? fs::path() : fs::path(found->pw_dir);
}

fs::path configuration_home() {
  const fs::path directory = path_in_environment("XDG_CONFIG_HOME");
  return directory.empty() ? home() / ".config" : directory;
}

fs::path docker_config_path() {
  const fs::path directory = path_in_environment("DOCKER_CONFIG");
  return (directory.empty() ? home() / ".docker" : directory) / "config.json";
}

// In the order in which they count.
std::vector<fs::path> docker_config_paths() {
  std::vector<fs::path> paths;
  if (fs::path chosen = path_in_environment("REGISTRY_AUTH_FILE"); !chosen.empty()) paths.push_back(std::move(chosen));
  paths.push_back(docker_config_path());
  if (const fs::path runtime = path_in_environment("XDG_RUNTIME_DIR"); !runtime.empty()) {
    paths.push_back(runtime / "containers/auth.json");
  }
  paths.push_back(configuration_home() / "containers/auth.json");
  return paths;
}

fs::path enroot_credentials_path() {
  const fs::path directory = path_in_environment("ENROOT_CONFIG_PATH");
  return (directory.empty() ? configuration_home() / "enroot" : directory) / ".credentials";
}

// "~/.docker/config.json", as users know it.
std::string shown(const fs::path& path) {
  const std::string prefix = home().string() + "/";
  const std::string text = path.string();
  return prefix.size() > 1 && text.starts_with(prefix) ? "~/" + text.substr(prefix.size()) : text;
}

// Absent where there is no such file; some places are directories that other hosts have and this one doesn't.
std::optional<std::string> read_if_exists(const fs::path& path) {
  try {
    return read_file(path, k_docker_config_limits.max_bytes);
  } catch (const SysError& error) {
    if (error.errno_value() != ENOENT && error.errno_value() != ENOTDIR) throw;
    return std::nullopt;
  }
}

// Whom the credential belongs to where it comes from a helper, which is not asked for a user.
std::optional<Credential> for_user(std::optional<Credential> credential, const std::string& user) {
  const bool fits = !credential || user.empty() || credential->username.empty() || credential->username == user;
  return fits ? std::move(credential) : std::nullopt;
}

std::optional<Credential> ask_helper(const std::string& name, const CredentialQuery& query) {
  const CredentialHelper helper(name);
  // Docker stored Docker Hub's under its URL, podman under its name.
  const std::string usual = docker_key(query.registry);
  if (auto credential = for_user(helper.get(usual), query.user)) return credential;
  for (const std::string& key : registry_keys(query.registry)) {
    if (key == usual) continue;
    if (auto credential = for_user(helper.get(key), query.user)) return credential;
  }
  return std::nullopt;
}

std::optional<Credential> find_in_config(const DockerConfig& config, const CredentialQuery& query,
                                         const fs::path& path) {
  if (const auto helper = config.helper_of(query.registry)) {
    if (auto credential = ask_helper(*helper, query)) return credential;
  }
  // Before the helper for all: with one, `docker login` leaves only empty marks here, so an entry was put here on
  // purpose.
  if (auto credential = config.find(query)) {
    credential->source = shown(path);
    return credential;
  }
  if (const auto helper = config.default_helper()) return ask_helper(*helper, query);
  return std::nullopt;
}

std::optional<Credential> find_in_netrc(const CredentialQuery& query, const fs::path& path, const std::string& text) {
  std::optional<Credential> credential = Netrc::parse(text).find(query);
  if (credential) credential->source = shown(path);
  return credential;
}

// Runs `look`, and names the place where it fails.
template <typename Look>
std::optional<Credential> look_into(const fs::path& path, const Look& look) {
  try {
    const std::optional<std::string> text = read_if_exists(path);
    return text ? look(*text) : std::nullopt;
  } catch (Error& error) {
    error.add_context(fmt::format("cannot take credentials from {}", shown(path)));
    throw;
  }
}

void check_storable(const Credential& credential) {
  // HTTP's Basic scheme and config.json both end the user name at the first colon (RFC 7617).
  if (credential.username.find(':') != std::string::npos) {
    throw UsageError("cannot store the credential: a user name can't have a ':'");
  }
  if (credential.username.empty() && credential.identity_token.empty()) {
    throw UsageError("cannot store the credential: there is no user name", "give one with --username");
  }
}

fs::path path_to_store_in() {
  const fs::path chosen = path_in_environment("REGISTRY_AUTH_FILE");
  return chosen.empty() ? docker_config_path() : chosen;
}

// As docker chooses: the registry's own, else the one for all.
std::optional<std::string> helper_for(const DockerConfig& config, const std::string& registry) {
  auto helper = config.helper_of(registry);
  return helper ? helper : config.default_helper();
}

// The URLs under which the helper has this registry, old forms included. Not every helper can list what it has.
std::vector<std::string> urls_in(const CredentialHelper& helper, const std::string& registry) {
  std::vector<std::string> urls;
  try {
    urls = helper.list();
    std::erase_if(urls, [&](const std::string& url) { return !is_key_of(url, registry); });
  } catch (const SysError&) {
    throw;  // it does not even run
  } catch (const Error&) {
    urls = registry_keys(registry);
    std::erase_if(urls, [&](const std::string& url) { return !helper.get(url); });
  }
  return urls;
}

bool erase_from_helper(const CredentialHelper& helper, const std::string& registry) {
  const std::vector<std::string> urls = urls_in(helper, registry);
  for (const std::string& url : urls) helper.erase(url);
  return !urls.empty();
}

// The helper first: where it fails, the file still says that something is stored.
bool erase_from(const fs::path& path, const std::string& registry) {
  const std::optional<std::string> text = read_if_exists(path);
  if (!text) return false;
  const auto helper = helper_for(DockerConfig::parse(*text), registry);
  const bool helper_had_it = helper && erase_from_helper(CredentialHelper(*helper), registry);
  DockerConfigFile file(path);
  const bool file_had_it = file.remove_entries(registry);
  if (file_had_it) file.save();
  return helper_had_it || file_had_it;
}

}  // namespace

std::optional<Credential> find_credential(const CredentialQuery& query) {
  for (const fs::path& path : docker_config_paths()) {
    auto credential = look_into(
        path, [&](const std::string& text) { return find_in_config(DockerConfig::parse(text), query, path); });
    if (credential) return credential;
  }
  const fs::path path = enroot_credentials_path();
  return look_into(path, [&](const std::string& text) { return find_in_netrc(query, path, text); });
}

std::string store_credential(const std::string& registry, const Credential& credential) {
  check_storable(credential);
  const fs::path path = path_to_store_in();
  try {
    const auto helper_name = helper_for(DockerConfig::parse(read_if_exists(path).value_or("")), registry);
    DockerConfigFile file(path);
    if (!helper_name) {
      file.set_entry(registry, credential);
      file.save();
      return shown(path);
    }
    const CredentialHelper helper(*helper_name);
    helper.store(docker_key(registry), credential);
    file.set_marker(registry);  // after the helper has it: a failure must not lose the old entry
    file.save();
    return helper.program();
  } catch (Error& error) {
    error.add_context(fmt::format("cannot store the credential for {}", registry));
    throw;
  }
}

bool erase_credential(const std::string& registry) {
  bool erased = false;
  const fs::path chosen = path_in_environment("REGISTRY_AUTH_FILE");
  // Both: the variable may have been set or not when the credential was stored.
  for (const fs::path& path : {chosen, docker_config_path()}) {
    if (path.empty()) continue;
    try {
      erased = erase_from(path, registry) || erased;
    } catch (Error& error) {
      error.add_context(fmt::format("cannot remove the credential for {} from {}", registry, shown(path)));
      throw;
    }
  }
  return erased;
}

}  // namespace mlctr
