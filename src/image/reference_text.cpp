#include "image/reference_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/reference.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_longest_shown = 4096;
constexpr const char* k_form =
    "a reference is [USER@][REGISTRY/]REPOSITORY[:TAG][@DIGEST], like python:3.8 or ghcr.io/owner/name:1.0";

// Whether what follows an "@" is meant as a digest, however wrong: a known algorithm's name, or a long run of hex
// digits.
bool is_meant_as_digest(std::string_view text) {
  if (text.find_first_of("/#") != std::string_view::npos) return false;
  const std::string algorithm = lowered(text.substr(0, text.find(':')));
  for (const std::string_view known : {"sha1", "sha224", "sha256", "sha384", "sha512", "md5", "blake2b", "blake3"}) {
    if (algorithm == known) return true;
  }
  const std::string_view hex = text.substr(text.rfind(':') + 1);  // npos + 1 is 0: all of it
  return hex.size() >= 32 && std::ranges::all_of(hex, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.push_back(text);
  return parts;
}

std::string suggest_reference(std::string_view candidate) {
  try {
    ImageReference::parse(candidate);
    return fmt::format("did you mean {}?", printable(candidate, k_longest_shown));
  } catch (const UsageError&) {
    return k_form;
  }
}

std::string_view ReferenceText::without_scheme() const {
  const std::size_t scheme_end = typed_.find("://");
  if (scheme_end == std::string_view::npos) return typed_;
  const std::string_view scheme = typed_.substr(0, scheme_end);
  const std::string_view rest = typed_.substr(scheme_end + 3);
  if (scheme == "docker") return rest;
  if (scheme == "http" || scheme == "https") {
    // Not shown where it may hold a password.
    const bool may_be_shown = rest.find('@') == std::string_view::npos;
    fail(typed_, fmt::format("a reference has no {}://", scheme),
         may_be_shown ? suggest_reference(rest) : "write REGISTRY/REPOSITORY:TAG");
  }
  // enroot has these.
  if (scheme == "dockerd" || scheme == "podman") {
    fail(typed_, fmt::format("{}:// asks a daemon, which mlctr doesn't", scheme),
         fmt::format("{} save NAME -o FILE.tar, then docker-archive:FILE.tar",
                     scheme == "podman" ? "podman" : "docker"));
  }
  fail(typed_, fmt::format("'{}://' is no kind of source that is known", printable(scheme)),
       "docker://…, oci:DIR, oci-archive:FILE, docker-archive:FILE or a .sqsh file");
}

ReferenceText::Parts ReferenceText::split() const {
  Parts parts{{}, without_scheme(), {}};
  std::size_t at = parts.name.rfind('@');
  if (at == std::string_view::npos) return parts;
  const std::string_view last = parts.name.substr(at + 1);
  // Before the "@" of a user there is no "/" and no "#": then only a digest can follow.
  const bool ends_a_name = parts.name.substr(0, at).find_first_of("/#") != std::string_view::npos;
  if (ends_a_name && !last.empty() && !is_meant_as_digest(last)) {
    fail(last, "what follows the '@' is no digest",
         "a digest is written @sha256:…; a password never belongs here, `mlctr login` keeps it");
  }
  if (ends_a_name || last.empty() || is_meant_as_digest(last)) {
    parts.digest = last;
    parts.name = parts.name.substr(0, at);
    at = parts.name.rfind('@');
  }
  if (at != std::string_view::npos) {
    parts.user = parts.name.substr(0, at);
    parts.name = parts.name.substr(at + 1);
  }
  return parts;
}

void ReferenceText::fail(std::string_view part, std::string_view why, std::string hint) const {
  // People count characters, not bytes: UTF-8's continuation bytes don't count.
  const std::string_view preceding = before(part);
  const auto position =
      1 + std::ranges::count_if(preceding, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  throw UsageError(fmt::format("invalid reference '{}': character {}: {}", shown(), position, why),
                   hint.empty() ? suggestion() : std::move(hint));
}

void ReferenceText::fail_at_character(const char* character, std::string_view where) const {
  const std::string_view from_here = typed_.substr(character - typed_.data());
  std::size_t length = 1;  // with the continuation bytes of its UTF-8, if that is what it is
  while (length < from_here.size() && (static_cast<unsigned char>(from_here[length]) & 0xc0) == 0x80) ++length;
  fail(from_here, fmt::format("'{}' can't be {}", printable(from_here.substr(0, length)), where), {});
}

// The text for a message. What stands between a ':' and the '@' of a user may be a password: it is left out.
std::string ReferenceText::shown() const {
  std::string_view named = typed_;
  if (const std::size_t at = named.rfind('@');
      at != std::string_view::npos && is_meant_as_digest(named.substr(at + 1))) {
    named = named.substr(0, at);
  }
  const std::size_t scheme_end = named.find("://");
  const std::size_t colon = named.find(':', scheme_end == std::string_view::npos ? 0 : scheme_end + 3);
  const std::size_t at = named.rfind('@');
  if (at == std::string_view::npos || colon > at) return printable(typed_);
  return fmt::format("{}:***{}", printable(typed_.substr(0, colon)), printable(typed_.substr(at)));
}

// Only the name must be in lower case: a user or a tag may mean something else without its capitals.
std::string ReferenceText::in_lower_case() const {
  const std::string_view name = split().name;
  const std::size_t last_part = name.find_last_of("/#") + 1;  // npos + 1 is 0: the first
  const std::string_view to_lower = name.substr(0, name.find(':', last_part));
  std::string text(typed_);
  return text.replace(before(to_lower).size(), to_lower.size(), lowered(to_lower));
}

std::string ReferenceText::suggestion() const {
  const std::string lower = in_lower_case();
  return lower == typed_ ? k_form : suggest_reference(lower);  // the text as typed is what is being refused
}

}  // namespace mlctr
