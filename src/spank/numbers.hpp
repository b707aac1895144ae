// Decimal numbers of a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlctr::spank {

/// Exactly `count` numbers of 32 bits, a single space between two and nothing else, into `numbers`.
inline bool read_numbers(std::string_view text, std::uint32_t* numbers, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t number = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
      number = number * 10 + static_cast<std::uint64_t>(text[digits] - '0');
      if (number > UINT32_MAX) return false;
    }
    if (digits == 0) return false;
    text.remove_prefix(digits);
    numbers[i] = static_cast<std::uint32_t>(number);
    if (i + 1 == count) return text.empty();
    if (text.empty() || text[0] != ' ') return false;
    text.remove_prefix(1);
  }
  return true;
}

}  // namespace mlctr::spank
