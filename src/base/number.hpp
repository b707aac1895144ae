// Numbers as text, read strictly.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace mlctr {

/// Absent unless the whole text is one number that Number holds: no sign but '-', no blanks, no prefix.
template <typename Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace mlctr
