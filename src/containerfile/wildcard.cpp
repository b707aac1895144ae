#include "containerfile/wildcard.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace mlctr::containerfile {
namespace {

constexpr char32_t k_raw_byte = 0x110000;  // plus the byte: a character that is none

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code >= k_raw_byte) return put(code - k_raw_byte);
  if (code < 0x80) return put(code);
  if (code >= 0x10000) {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
  } else if (code >= 0x800) {
    put(0xe0 | (code >> 12));
  }
  put(code >= 0x800 ? 0x80 | ((code >> 6) & 0x3f) : 0xc0 | (code >> 6));
  put(0x80 | (code & 0x3f));
}

}  // namespace

std::u32string characters_of(std::string_view text) {
  std::u32string characters;
  characters.reserve(text.size());
  while (!text.empty()) {
    const Character first = decode_first(text);
    characters += first.bytes == 0 ? k_raw_byte + static_cast<unsigned char>(text.front()) : char32_t{first.code};
    text.remove_prefix(std::max<std::size_t>(first.bytes, 1));
  }
  return characters;
}

std::string text_of(std::u32string_view characters) {
  std::string text;
  for (const char32_t code : characters) append_utf8(text, code);
  return text;
}

bool Wildcard::takes(const Token& token, char32_t code) const {
  switch (token.kind) {
    case Kind::literal:
      return code == token.code;
    case Kind::set: {
      const bool is_in = std::any_of(token.ranges.begin(), token.ranges.end(),
                                     [&](const auto& range) { return code >= range.first && code <= range.second; });
      return is_in != token.is_negated;
    }
    case Kind::one:
    case Kind::run:
      return code != barrier_;
    case Kind::directories:
    case Kind::anything:
      return true;
  }
  return false;
}

std::vector<std::size_t> Wildcard::step(const Token& token, std::u32string_view text,
                                        const std::vector<std::size_t>& places) const {
  std::vector<std::size_t> next;
  const bool repeats = token.kind == Kind::run || token.kind == Kind::directories || token.kind == Kind::anything;
  std::size_t done = 0;  // no place before it needs another look: what begins earlier went on from there
  for (const std::size_t place : places) {
    if (!repeats) {
      if (place < text.size() && takes(token, text[place])) next.push_back(place + 1);
      continue;
    }
    if (place < done) {
      if (token.kind == Kind::directories && !std::binary_search(next.begin(), next.end(), place)) {
        next.insert(std::lower_bound(next.begin(), next.end(), place), place);
      }
      continue;
    }
    next.push_back(place);
    std::size_t at = place;
    for (; at < text.size() && takes(token, text[at]); ++at) {
      if (token.kind != Kind::directories || text[at] == U'/') next.push_back(at + 1);
    }
    done = at + 1;
  }
  return next;
}

std::vector<std::size_t> Wildcard::ends(std::u32string_view text, std::size_t begin) const {
  std::vector<std::size_t> places{begin};
  for (const Token& token : tokens_) {
    places = step(token, text, places);
    if (places.empty()) break;
  }
  return places;
}

bool Wildcard::matches(std::string_view text) const {
  const std::u32string characters = characters_of(text);
  const std::vector<std::size_t> places = ends(characters, 0);
  return !places.empty() && places.back() == characters.size();
}

Wildcard Wildcard::reversed() const {
  Wildcard other = *this;
  std::reverse(other.tokens_.begin(), other.tokens_.end());
  return other;
}

}  // namespace mlctr::containerfile
