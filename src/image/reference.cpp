#include "image/reference.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/reference_text.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_reference_bytes = 2048;
constexpr std::size_t k_max_repository_bytes = 255;  // distribution/reference, RepositoryNameTotalLengthMax
constexpr std::size_t k_max_host_bytes = 253;        // RFC 1035
constexpr std::string_view k_hub = "docker.io";
constexpr std::array<std::string_view, 3> k_hub_aliases{k_hub, "index.docker.io", "registry-1.docker.io"};

// Every view below is a part of the text as typed, so that ReferenceText can say at which character something is wrong.

// Docker's rule: without a dot, a port or the name localhost it is a namespace of Docker Hub.
bool looks_like_registry(std::string_view component) {
  return component == "localhost" || component.find_first_of(".:") != std::string_view::npos;
}

void check_port(const ReferenceText& text, std::string_view registry, std::string_view port) {
  const bool digits = !port.empty() && port.size() <= 5 && std::ranges::all_of(port, is_digit);
  if (digits && std::stoul(std::string(port)) >= 1 && std::stoul(std::string(port)) <= 65535) return;
  text.fail(port, fmt::format("the port of registry '{}' is no number from 1 to 65535", printable(registry)),
            "a tag comes last: REGISTRY[:PORT]/REPOSITORY:TAG");
}

// RFC 1123; distribution allows no underscore here either.
void check_host_label(const ReferenceText& text, std::string_view label) {
  if (label.empty()) text.fail(label, "the registry's host name has an empty part", {});
  const auto odd = std::ranges::find_if_not(label, [](char c) { return is_alphanumeric(c) || c == '-'; });
  if (odd != label.end()) text.fail_at_character(odd - label.begin() + label.data(), "in the registry's host name");
  if (label.front() == '-' || label.back() == '-') {
    text.fail(label.front() == '-' ? label : label.substr(label.size() - 1),
              "a part of the registry's host name begins or ends with '-'", {});
  }
}

// Zones ("%eth0") mean nothing to another host, and inet_pton takes none.
void check_ipv6(const ReferenceText& text, std::string_view host) {
  in6_addr address{};
  const std::string inner(host.substr(1, host.size() - 2));
  if (::inet_pton(AF_INET6, inner.c_str(), &address) != 1) {
    text.fail(host, "what is between '[' and ']' is no IPv6 address", "write it like [2001:db8::1]:5000/name:tag");
  }
}

// Returns the registry as it is kept: lower-case, Docker Hub under its one name.
std::string parse_registry(const ReferenceText& text, std::string_view registry) {
  if (registry.empty()) text.fail(registry, "the registry's name is empty", {});
  std::string_view host = registry;
  std::size_t colon = registry.find(':');
  if (registry.front() == '[') {
    const std::size_t close = registry.find(']');
    if (close == std::string_view::npos) text.fail(registry, "the '[' of an IPv6 address is not closed", {});
    check_ipv6(text, registry.substr(0, close + 1));
    colon = close + 1;
    host = registry.substr(0, colon);
    if (colon < registry.size() && registry[colon] != ':') {
      text.fail_at_character(registry.data() + colon, "after the registry's address");
    }
  } else {
    host = registry.substr(0, colon);
    for (const std::string_view label : split(host, '.')) check_host_label(text, label);
  }
  if (host.size() > k_max_host_bytes) text.fail(host, "the registry's host name is longer than 253 characters", {});
  if (colon < registry.size()) check_port(text, registry, registry.substr(colon + 1));
  const std::string lower = lowered(registry);
  return std::ranges::find(k_hub_aliases, lower) != k_hub_aliases.end() ? std::string(k_hub) : lower;
}

// [a-z0-9]+ separated by one "." or "_", by "__", or by any number of "-".
void check_component(const ReferenceText& text, std::string_view component) {
  if (component.empty()) text.fail(component, "a part of the repository's name is empty (a '/' too many?)", {});
  for (std::size_t at = 0; at < component.size();) {
    const std::size_t end = std::min(component.find_first_of("._-", at), component.size());
    const std::string_view word = component.substr(at, end - at);
    if (const auto odd = std::ranges::find_if_not(word, is_lower_alphanumeric); odd != word.end()) {
      text.fail_at_character(odd - word.begin() + word.data(), "in the repository's name");
    }
    const std::size_t next = std::min(component.find_first_not_of("._-", end), component.size());
    const std::string_view separator = component.substr(end, next - end);
    const bool at_edge = word.empty() || (next == component.size() && !separator.empty());
    if (at_edge) {
      text.fail(separator, fmt::format("a part of the repository's name begins or ends with '{}'", separator), {});
    }
    const bool allowed = separator.empty() || separator == "." || separator == "_" || separator == "__" ||
                         separator.find_first_not_of('-') == std::string_view::npos;
    if (!allowed) text.fail(separator, fmt::format("'{}' separates nothing in a repository's name", separator), {});
    at = next;
  }
}

void check_repository(const ReferenceText& text, std::string_view repository) {
  if (repository.empty()) {
    text.fail(repository, "the repository's name is missing",
              "name one: REGISTRY/REPOSITORY[:TAG], like ghcr.io/owner/name:1.0");
  }
  if (repository.size() > k_max_repository_bytes)
    text.fail(repository, "the repository's name is longer than 255 characters", {});
  for (const std::string_view component : split(repository, '/')) check_component(text, component);
}

void check_tag(const ReferenceText& text, std::string_view tag) {
  const std::string whole_without(text.before(tag).substr(0, text.before(tag).size() - 1));
  if (tag.empty()) text.fail(tag, "the tag is empty", suggest_reference(whole_without));
  const auto is_tag_character = [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; };
  const auto odd = std::ranges::find_if_not(tag, is_tag_character);
  if (odd != tag.end() && *odd == ':') {
    const std::string_view first = tag.substr(0, odd - tag.begin());
    text.fail(tag.substr(first.size()), "there is a second tag",
              suggest_reference(fmt::format("{}{}{}", whole_without, first.empty() ? "" : ":", first)));
  }
  if (odd != tag.end()) text.fail_at_character(odd - tag.begin() + tag.data(), "in the tag");
  if (tag.front() == '.' || tag.front() == '-')
    text.fail(tag, fmt::format("a tag can't begin with '{}'", tag.front()), {});
  if (tag.size() > 128) text.fail(tag.substr(128), "the tag is longer than 128 characters", {});
}

void check_user(const ReferenceText& text, std::string_view user) {
  if (user.empty()) text.fail(user, "there is no user name before the '@'", {});
  if (const std::size_t colon = user.find(':'); colon != std::string_view::npos) {
    text.fail(user.substr(colon), "a user name can't have a ':'",
              "a digest is written @sha256:…; a password never belongs here, `mlctr login` keeps it");
  }
  // Robot accounts are "robot$name", NVIDIA's is "$oauthtoken", others are mail addresses.
  const auto odd = std::ranges::find_if_not(user, [](char c) { return c > ' ' && c < 0x7f; });
  if (odd != user.end()) text.fail_at_character(odd - user.begin() + user.data(), "in the user name");
}

struct Split {
  std::string_view registry, rest;
  bool has_registry = false;
};

Split split_registry(std::string_view name) {
  if (const std::size_t hash = name.find('#'); hash != std::string_view::npos) {
    return {name.substr(0, hash), name.substr(hash + 1), true};
  }
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos || !looks_like_registry(name.substr(0, slash))) return {{}, name, false};
  return {name.substr(0, slash), name.substr(slash + 1), true};
}

// Docker refuses it too, so that an ID pasted from `docker images` is not searched for on Docker Hub.
bool is_image_id(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// "sha256:…" is an image's ID too.
bool is_digest_algorithm(std::string_view text) {
  return text == "sha256" || text == "sha512";
}

void parse_name(const ReferenceText& text, std::string_view name, ImageReference& reference) {
  const Split parts = split_registry(name);
  reference.registry = parts.has_registry ? parse_registry(text, parts.registry) : std::string(k_hub);
  const std::size_t colon = parts.rest.find(':');
  const std::string_view repository = parts.rest.substr(0, colon);
  if (!parts.has_registry && repository.starts_with('[')) {
    text.fail(text.end(), "there is a registry but no repository", "write [ADDRESS]:PORT/REPOSITORY:TAG");
  }
  if (!parts.has_registry && is_image_id(repository)) {
    text.fail(repository, "64 hex digits are an image's ID, not its name",
              fmt::format("a digest is written NAME@sha256:{}", repository));
  }
  if (!parts.has_registry && is_digest_algorithm(repository)) {
    text.fail(repository, "a digest alone does not say where the image is",
              fmt::format("a digest is written NAME@{}", printable(parts.rest)));
  }
  check_repository(text, repository);
  if (colon != std::string_view::npos) check_tag(text, parts.rest.substr(colon + 1));
  reference.repository = repository;
  if (reference.registry == k_hub && repository.find('/') == std::string_view::npos)
    reference.repository.insert(0, "library/");
  if (colon != std::string_view::npos) reference.tag = parts.rest.substr(colon + 1);
}

Digest parse_digest(const ReferenceText& text, std::string_view digest) {
  try {
    return Digest::parse(digest);
  } catch (const UsageError& error) {
    text.fail(digest, error.message(), error.hint());
  }
}

}  // namespace

ImageReference ImageReference::parse(std::string_view typed) {
  const ReferenceText text(typed);
  if (typed.empty())
    throw UsageError("the image's name is empty", "name one, like python:3.8 or ghcr.io/owner/name:1.0");
  if (typed.size() > k_max_reference_bytes) text.fail(typed, "it is longer than 2048 characters", {});
  const ReferenceText::Parts parts = text.split();
  // The user first: until that is checked, a password may stand in the text.
  ImageReference reference;
  if (parts.user) {
    check_user(text, *parts.user);
    reference.user = *parts.user;
  }
  parse_name(text, parts.name, reference);
  if (parts.digest) reference.digest = parse_digest(text, *parts.digest);
  if (reference.tag.empty() && !reference.digest) reference.tag = "latest";
  return reference;
}

std::string ImageReference::to_string() const {
  // Without a dot or a port, only enroot's "#" makes it a registry and not a part of Docker Hub.
  std::string text = fmt::format("{}{}{}", registry, looks_like_registry(registry) ? '/' : '#', repository);
  if (!tag.empty()) text += ":" + tag;
  if (digest) text += "@" + digest->to_string();
  return text;
}

std::string ImageReference::familiar() const {
  std::string whole = to_string();
  if (registry != k_hub) return whole;
  std::string_view name = repository;
  if (name.starts_with("library/") && name.find('/', 8) == std::string_view::npos) name.remove_prefix(8);
  // "docker.io/foo.bar/x" must not come back as the registry foo.bar, nor a name that is (or begins) an ID as one.
  const std::size_t slash = name.find('/');
  if ((slash != std::string_view::npos && looks_like_registry(name.substr(0, slash))) || is_image_id(name) ||
      is_digest_algorithm(name)) {
    return whole;
  }
  return std::string(name) + whole.substr(registry.size() + 1 + repository.size());
}

std::string ImageReference::selector() const {
  return digest ? digest->to_string() : tag;
}

}  // namespace mlctr
