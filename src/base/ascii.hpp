// Character classes of ASCII alone, whatever the locale says: for formats whose grammar is ASCII.
#pragma once

#include <string>
#include <string_view>

namespace mlctr {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
constexpr bool is_lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c);
}
constexpr bool is_alphanumeric(char c) {
  return is_lower_alphanumeric(c) || is_upper(c);
}

constexpr char lowered(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string lowered(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = lowered(c);
  return lower;
}

/// Without the blanks, tabs and line ends around it.
constexpr std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(k_blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(k_blanks) - first + 1);
}

}  // namespace mlctr
