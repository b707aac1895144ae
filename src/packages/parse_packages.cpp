#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "image/json_value.hpp"
#include "packages/package.hpp"
#include "packages/stanza.hpp"

namespace mlctr::packages {
namespace {

// Null where the text is none, or too much of it.
nlohmann::json object_in(std::string_view text) {
  try {
    nlohmann::json value = parse_json(text, {});
    if (value.is_object()) return value;
  } catch (const Error&) {
    // Whoever made the image wrote it.
  }
  return nullptr;
}

std::string text_at(const nlohmann::json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A URL's user and password are no business of a lock file's.
std::string without_credentials(std::string url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t host = scheme + 3;
  const std::size_t end = std::min(url.find('/', host), url.size());
  const std::size_t at = url.rfind('@', end);
  if (at != std::string::npos && at > host && at < end) url.erase(host, at + 1 - host);
  return url;
}

std::string direct_origin(std::string_view direct_url) {
  const nlohmann::json json = object_in(direct_url);
  std::string origin = without_credentials(text_at(json, "url"));
  if (!json.is_object() || origin.empty()) return {};
  const auto vcs = json.find("vcs_info");
  const std::string commit = vcs == json.end() ? std::string() : text_at(*vcs, "commit_id");
  return commit.empty() ? origin : origin + "@" + commit;
}

}  // namespace

std::vector<Package> parse_dpkg_status(std::string_view text) {
  std::vector<Package> packages;
  while (const auto stanza = take_stanza(text)) {
    Package package{"deb", field(*stanza, "Package"), field(*stanza, "Version"), field(*stanza, "Source")};
    const std::string status = field(*stanza, "Status");  // status.d has none
    const bool is_installed = status.empty() || status.ends_with(" installed");
    if (is_installed && !package.name.empty() && !package.version.empty()) packages.push_back(std::move(package));
  }
  return packages;
}

std::vector<Package> parse_apk_installed(std::string_view text) {
  std::vector<Package> packages;
  while (const auto stanza = take_stanza(text)) {
    Package package{"apk", field(*stanza, "P"), field(*stanza, "V"), field(*stanza, "o")};
    if (package.origin == package.name) package.origin.clear();
    if (!package.name.empty() && !package.version.empty()) packages.push_back(std::move(package));
  }
  return packages;
}

std::optional<Package> parse_python_metadata(std::string_view text, std::string_view direct_url) {
  const auto stanza = take_stanza(text);
  if (!stanza) return std::nullopt;
  Package package{"python", field(*stanza, "Name"), field(*stanza, "Version"), direct_origin(direct_url)};
  if (package.name.empty() || package.version.empty()) return std::nullopt;
  return package;
}

std::optional<Package> parse_conda_record(std::string_view text) {
  const nlohmann::json json = object_in(text);
  Package package{"conda", text_at(json, "name"), text_at(json, "version"), without_credentials(text_at(json, "url"))};
  if (package.name.empty() || package.version.empty()) return std::nullopt;
  if (const std::string build = text_at(json, "build"); !build.empty()) package.version += "=" + build;
  if (package.origin.empty()) package.origin = without_credentials(text_at(json, "channel"));
  return package;
}

}  // namespace mlctr::packages
