#include "registry/docker_config_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "registry/base64.hpp"
#include "registry/docker_config.hpp"
#include "registry/registry_key.hpp"

namespace mlctr {
namespace {

using Json = nlohmann::ordered_json;

// Where the content really lies; a link to a file that is yet to be made counts too. (canonical() wants the file to
// exist.)
std::filesystem::path follow_links(std::filesystem::path path) {
  constexpr int k_max_links = 40;  // as the kernel's
  for (int links = 0; std::filesystem::is_symlink(std::filesystem::symlink_status(path)); ++links) {
    if (links == k_max_links) throw SysError(fmt::format("cannot open {}", path.string()), ELOOP);
    path = path.parent_path() / std::filesystem::read_symlink(path);  // an absolute target replaces the parent
  }
  return path;
}

std::string read_or_empty(const std::filesystem::path& path) {
  try {
    return read_file(path, k_docker_config_limits.max_bytes);
  } catch (const SysError& error) {
    if (error.errno_value() != ENOENT) throw;
    return {};
  }
}

Json parse(const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Json::object();
  // The reading parser finds and names what is wrong; ordered_json's own search is quadratic, so the limits come first.
  const DockerConfig checked = DockerConfig::parse(text);
  return Json::parse(text);
}

// Collected first: erasing would end the iteration that finds them.
std::vector<std::string> keys_of(const Json& auths, std::string_view registry) {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : auths.items()) {
    if (is_key_of(key, registry)) keys.push_back(key);
  }
  return keys;
}

}  // namespace

DockerConfigFile::DockerConfigFile(std::filesystem::path path) : path_(follow_links(std::move(path))) {
  try {
    document_ = parse(read_or_empty(path_));
    if (const auto auths = document_.find("auths");
        auths != document_.end() && !auths->is_object() && !auths->is_null()) {
      throw Error("$.auths: expected an object");
    }
  } catch (SysError&) {
    throw;  // names the file already
  } catch (Error& error) {
    error.add_context(fmt::format("cannot change {}", path_.string()));
    throw;
  }
}

void DockerConfigFile::set(std::string_view registry, const Json& secrets) {
  Json& auths = document_["auths"];  // made where there is none; null counts as none
  if (!auths.is_object()) auths = Json::object();
  const std::string key = docker_key(registry);
  // An old secret under another name would go on being found, by docker or by us.
  for (const std::string& other : keys_of(auths, registry)) {
    if (other != key) auths.erase(other);
  }
  Json& entry = auths[key];
  if (!entry.is_object()) entry = Json::object();
  for (const char* secret : {"auth", "identitytoken", "registrytoken", "username", "password"}) entry.erase(secret);
  entry.update(secrets);
}

void DockerConfigFile::set_entry(std::string_view registry, const Credential& credential) {
  Json secrets = Json::object();
  // Docker writes a token's user name with an empty password beside it.
  if (!credential.username.empty() || credential.identity_token.empty()) {
    secrets["auth"] = encode_base64(credential.username + ":" + credential.password);
  }
  if (!credential.identity_token.empty()) secrets["identitytoken"] = credential.identity_token;
  set(registry, secrets);
}

void DockerConfigFile::set_marker(std::string_view registry) {
  set(registry, Json::object());
}

bool DockerConfigFile::remove_entries(std::string_view registry) {
  const auto auths = document_.find("auths");
  if (auths == document_.end() || !auths->is_object()) return false;
  const std::vector<std::string> keys = keys_of(*auths, registry);
  for (const std::string& key : keys) auths->erase(key);
  return !keys.empty();
}

void DockerConfigFile::save() const {
  // As docker makes it: others may use the parents, but not see what we keep.
  const std::filesystem::path directory = path_.parent_path();
  if (!directory.empty() && !std::filesystem::exists(directory)) {
    std::filesystem::create_directories(directory.parent_path());
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) throw SysError("cannot make " + directory.string());
  }
  std::string text;
  try {
    text = document_.dump(1, '\t');
  } catch (const Json::type_error&) {
    throw Error(
        fmt::format("cannot write {}: the token is not UTF-8", path_.string()));  // theirs would quote its bytes
  }
  write_file_atomically(path_, text + "\n", 0600);
}

}  // namespace mlctr
