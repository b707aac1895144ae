#include "build/git_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::build {
namespace {

bool has_url_scheme(std::string_view url, std::string_view scheme) {
  return url.starts_with(scheme) && url.substr(scheme.size()).starts_with("://");
}

// "git@github.com:owner/name": ssh's own form.
bool is_scp_form(std::string_view url) {
  const std::size_t at = url.find('@'), colon = url.find(':');
  return at != url.npos && at > 0 && colon != url.npos && at < colon && url.find('/') > colon &&
         !url.starts_with('-') && !url.substr(colon).starts_with("://");
}

bool names_repository(std::string_view url) {
  if (has_url_scheme(url, "git") || has_url_scheme(url, "ssh")) return true;
  if (has_url_scheme(url, "http") || has_url_scheme(url, "https")) return url.ends_with(".git");
  return is_scp_form(url);
}

// It would stand in the arguments of git, which everybody may read.
void check_no_password(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return;
  const std::string authority = url.substr(scheme + 3, url.find('/', scheme + 3) - scheme - 3);
  const std::size_t at = authority.rfind('@');
  if (at == authority.npos || authority.find(':') > at) return;
  throw Error("ADD: there is a password in the address of a git repository",
              "leave it out: git's credential helpers are asked, and ssh's agent");
}

bool is_git_reference(std::string_view text) {
  constexpr std::string_view k_others = "-._/@+#";
  const auto is_allowed = [&](char c) { return is_alphanumeric(c) || k_others.find(c) != k_others.npos; };
  return !text.empty() && !text.starts_with('-') && text.find("..") == text.npos && text.find("@{") == text.npos &&
         std::ranges::all_of(text, is_allowed);
}

std::string directory_in_repository(const std::string& text, const std::string& whole) {
  const std::string path = std::filesystem::path("/" + text).lexically_normal().string();
  if (text.find_first_of("*?[\\") != text.npos || ("/" + text + "/").find("/../") != text.npos) {
    throw Error(fmt::format("ADD {}: {} is no directory of a repository", printable(whole), printable(text)),
                "ADD URL#REF:DIRECTORY, without wildcards");
  }
  std::string inside = path.substr(1);
  while (inside.ends_with('/')) inside.pop_back();
  return inside.empty() ? "." : inside;
}

}  // namespace

std::optional<GitSource> parse_git_source(const std::string& text) {
  const std::size_t hash = std::min(text.find('#'), text.size());
  GitSource source{.url = text.substr(0, hash), .reference = "HEAD", .directory = "."};
  if (!names_repository(source.url)) return std::nullopt;
  check_no_password(source.url);
  if (hash == text.size()) return source;
  const std::string fragment = text.substr(hash + 1);
  const std::size_t colon = std::min(fragment.find(':'), fragment.size());
  if (colon > 0) source.reference = fragment.substr(0, colon);
  if (!is_git_reference(source.reference)) {
    throw Error(fmt::format("ADD {}: {} is no branch, tag or commit", printable(text), printable(source.reference)),
                "ADD URL#main, or another branch, a tag, or a commit's whole hash");
  }
  if (colon < fragment.size()) source.directory = directory_in_repository(fragment.substr(colon + 1), text);
  return source;
}

}  // namespace mlctr::build
