#include "store/reference_path.hpp"

#include <fmt/format.h>

#include <cctype>
#include <string>
#include <vector>

#include "base/hash.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_reference_extension = ".json";
constexpr std::string_view k_empty = "%";

std::string percent(char c) {
  return fmt::format("%{:02X}", static_cast<unsigned char>(c));
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-' || c == '@';
}

std::string encode(std::string_view part) {
  std::string encoded;
  for (const char c : part) encoded += is_plain(c) && !(encoded.empty() && c == '.') ? std::string(1, c) : percent(c);
  if (encoded.size() <= 200) return encoded;
  Hasher hasher;
  hasher.update(part);
  return encoded.substr(0, 120) + "%=" + hasher.finish_hex();
}

std::string encode_directory(std::string_view part) {
  std::string encoded = encode(part);
  if (encoded.ends_with(k_reference_extension))
    encoded.replace(encoded.size() - k_reference_extension.size(), 1, percent('.'));
  return encoded.empty() ? std::string(k_empty) : encoded;
}

std::string encode_registry(std::string_view registry) {
  std::string encoded = encode_directory(registry);
  if (encoded.starts_with('_')) encoded.replace(0, 1, percent('_'));
  return encoded;
}

struct Parts {
  std::string_view registry;
  std::vector<std::string_view> repository;
  std::string_view leaf;  ///< "TAG", "@DIGEST", "TAG@DIGEST"
};

// Only where to cut: whether the parts are a valid reference is not this file's business.
Parts split(std::string_view text) {
  Parts parts;
  const std::size_t registry_end = text.find('/');
  parts.registry = text.substr(0, registry_end);
  std::string_view rest = text.substr(registry_end + 1);
  const std::size_t name_end = std::min(rest.find('@'), rest.size());
  const std::size_t last_slash = rest.substr(0, name_end).rfind('/');
  const std::size_t colon = rest.substr(0, name_end).find(':', last_slash == std::string_view::npos ? 0 : last_slash);
  const std::size_t cut = std::min(colon, name_end);
  parts.leaf = rest.substr(std::min(colon == std::string_view::npos ? cut : cut + 1, rest.size()));
  for (std::string_view name = rest.substr(0, cut);;) {
    const std::size_t slash = name.find('/');
    parts.repository.push_back(name.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    name.remove_prefix(slash + 1);
  }
}

bool is_image_reference(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == 0 || slash == std::string_view::npos) return false;
  for (const std::string_view scheme : {"oci:", "oci-archive:", "docker-archive:"}) {
    if (text.starts_with(scheme)) return false;
  }
  return true;
}

std::string encode_leaf(std::string_view leaf) {
  std::string encoded = encode(leaf);
  if (encoded.empty()) encoded = k_empty;
  return encoded.append(k_reference_extension);
}

}  // namespace

std::filesystem::path reference_path(std::string_view canonical_reference) {
  if (!is_image_reference(canonical_reference))
    return std::filesystem::path("_source") / encode_leaf(canonical_reference);
  const Parts parts = split(canonical_reference);
  std::filesystem::path path = encode_registry(parts.registry);
  for (const std::string_view part : parts.repository) path /= encode_directory(part);
  return path / encode_leaf(parts.leaf);
}

}  // namespace mlctr
