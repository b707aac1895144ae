#include "containerfile/byte_size.hpp"

#include <charconv>

#include "base/ascii.hpp"

namespace mlctr::containerfile {
namespace {

void drop_suffix(std::string_view& text, std::string_view either) {
  if (!text.empty() && either.find(lowered(text.back())) != std::string_view::npos) text.remove_suffix(1);
}

}  // namespace

std::optional<std::uint64_t> parse_byte_size(std::string_view text) {
  constexpr std::string_view k_units = "kmgtp";
  drop_suffix(text, "b");
  drop_suffix(text, "i");
  double factor = 1;
  if (const std::size_t unit = text.empty() ? std::string_view::npos : k_units.find(lowered(text.back()));
      unit != std::string_view::npos) {
    for (std::size_t i = 0; i <= unit; ++i) factor *= 1024;
    text.remove_suffix(1);
    if (text.ends_with(' ')) text.remove_suffix(1);
  }
  if (text.empty() || !is_digit(text.front()) || !is_digit(text.back())) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value * factor >= 0x1p63) return std::nullopt;
  return static_cast<std::uint64_t>(value * factor);
}

}  // namespace mlctr::containerfile
