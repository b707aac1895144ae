#include "hooks/cdi_name.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::size_t k_max_vendor_bytes = 253, k_max_class_bytes = 63;

bool is_word(std::string_view text, std::string_view marks) {
  return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return is_alphanumeric(c) || marks.find(c) != marks.npos; });
}

bool is_kind_part(std::string_view text, std::size_t max_bytes) {
  return is_word(text, "._-") && !is_digit(text.front()) && text.size() <= max_bytes;
}

}  // namespace

bool is_cdi_device_name(std::string_view text) {
  return is_word(text, "._-:");
}

std::optional<CdiKind> CdiKind::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const std::string_view vendor = text.substr(0, slash), device_class = text.substr(slash + 1);
  if (!is_kind_part(vendor, k_max_vendor_bytes) || !is_kind_part(device_class, k_max_class_bytes)) return std::nullopt;
  return CdiKind{std::string(vendor), std::string(device_class)};
}

std::optional<CdiName> CdiName::parse(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos || !is_cdi_device_name(text.substr(equals + 1))) return std::nullopt;
  auto kind = CdiKind::parse(text.substr(0, equals));
  if (!kind) return std::nullopt;
  return CdiName{std::move(*kind), std::string(text.substr(equals + 1))};
}

}  // namespace mlctr::hooks
