// A number that is all of a text.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace mlctr::hooks {

/// Digits only, and not too many of them.
inline std::optional<unsigned> whole_number(std::string_view text) {
  unsigned number = 0;
  const auto [end, mistake] = std::from_chars(text.data(), text.data() + text.size(), number);
  return mistake == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace mlctr::hooks
