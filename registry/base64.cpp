#include "registry/base64.hpp"

#include <cstdint>

namespace mlctr {
namespace {

constexpr std::string_view k_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  // Three bytes are four digits; what is missing at the end is zeros, shown as "=".
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = (bits << 8) | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i) text += i <= group.size() ? k_alphabet[(bits >> (18 - 6 * i)) & 63u] : '=';
  }
  return text;
}

std::optional<std::string> decode_base64(std::string_view text) {
  const std::size_t padding_start = text.find('=');
  if (padding_start != std::string_view::npos) {
    const std::string_view padding = text.substr(padding_start);
    if (text.size() % 4 != 0 || (padding != "=" && padding != "==")) return std::nullopt;
    text = text.substr(0, padding_start);
  }
  // Six bits are less than a byte.
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const std::size_t value = k_alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>((bits >> held) & 0xffu);
  }
  return bytes;
}

}  // namespace mlctr
