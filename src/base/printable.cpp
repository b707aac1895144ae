#include "base/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/utf8.hpp"

namespace mlctr {
namespace {

// A terminal may read invalid bytes differently from us. C0 and C1 controls drive it; the others make a line read
// differently from what it says (bidirectional overrides, zero-width characters, line separators, the tags block).
bool misleads(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

std::string escape(std::uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return code < 0x80 ? fmt::format("\\x{:02x}", code) : fmt::format("\\u{{{:x}}}", code);
  }
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string shown;
  std::size_t at = 0;
  while (at < text.size()) {
    const Character character = decode_first(text.substr(at));
    const std::size_t length = character.bytes == 0 ? 1 : character.bytes;
    if (at + length > max_bytes) return shown + "…";
    if (character.bytes == 0) {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    } else if (misleads(character.code)) {
      shown += escape(character.code);
    } else {
      shown += text.substr(at, length);
    }
    at += length;
  }
  return shown;
}

std::string printable_lines(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view k_blanks = " \t\r";
  std::string joined;
  while (!text.empty() && joined.size() <= max_bytes) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find_last_not_of(k_blanks) + 1);
    line.remove_prefix(std::min(line.find_first_not_of(k_blanks), line.size()));
    if (!line.empty()) joined.append(joined.empty() ? "" : "; ").append(line);
  }
  return printable(joined, max_bytes);
}

}  // namespace mlctr
