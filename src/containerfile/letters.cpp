#include "containerfile/letters.hpp"

#include "base/ascii.hpp"
#include "base/utf8.hpp"

namespace mlctr::containerfile {

std::size_t character_bytes(std::string_view text) {
  const std::size_t bytes = decode_first(text).bytes;
  return bytes == 0 ? 1 : bytes;
}

bool is_blank(std::uint32_t code) {
  return (code >= 0x09 && code <= 0x0d) || code == ' ' || code == 0x85 || code == 0xa0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
         code == 0x3000;
}

std::size_t blank_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const Character first = decode_first(text);
  return first.bytes != 0 && is_blank(first.code) ? first.bytes : 0;
}

std::string_view without_leading_blanks(std::string_view text) {
  while (const std::size_t bytes = blank_bytes(text)) text.remove_prefix(bytes);
  return text;
}

std::string_view without_blanks_around(std::string_view text) {
  text = without_leading_blanks(text);
  for (std::size_t bytes = 1; bytes <= 3 && bytes <= text.size();) {  // no blank is longer
    const bool is_at_end = blank_bytes(text.substr(text.size() - bytes)) == bytes;
    if (is_at_end) text.remove_suffix(bytes);
    bytes = is_at_end ? 1 : bytes + 1;
  }
  return text;
}

bool is_name_letter(std::uint32_t code) {
  if (code < 0x80)
    return code == '_' || (is_alphanumeric(static_cast<char>(code)) && !is_digit(static_cast<char>(code)));
  if (code < 0xc0) return code == 0xaa || code == 0xb5 || code == 0xba;
  const bool is_symbol = code == 0xd7 || code == 0xf7 || (code >= 0x300 && code <= 0x36f) ||
                         (code >= 0x2000 && code <= 0x2bff) || (code >= 0x2e00 && code <= 0x2e7f) ||
                         (code >= 0x3000 && code <= 0x3004) || (code >= 0x3007 && code <= 0x3030) ||
                         (code >= 0xd800 && code <= 0xf8ff) || (code >= 0xfe00 && code <= 0xfe6f) ||
                         (code >= 0xff00 && code <= 0xff20) || (code >= 0x1f000 && code <= 0x1faff) || code >= 0xe0000;
  return !is_symbol;
}

}  // namespace mlctr::containerfile
