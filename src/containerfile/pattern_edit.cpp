#include "containerfile/pattern_edit.hpp"

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "containerfile/wildcard.hpp"

namespace mlctr::containerfile {
namespace {

constexpr std::size_t k_max_work = 1u << 26;  // pattern times value, times value again where it is looked for

constexpr std::size_t k_max_characters = 1u << 20;

void check_work(std::size_t pattern, std::size_t value, std::size_t starts) {
  if (pattern != 0 && starts != 0 && value > k_max_work / pattern / starts) {
    throw Error("the value and the pattern are too long for it", "do it in a RUN step");
  }
}

std::optional<std::size_t> end_of_match(const Wildcard& wildcard, std::u32string_view value, std::size_t begin,
                                        Extent extent) {
  const std::vector<std::size_t> ends = wildcard.ends(value, begin);
  if (ends.empty()) return std::nullopt;
  return extent == Extent::shortest ? ends.front() : ends.back();
}

}  // namespace

std::string without_prefix(std::string_view value, std::string_view pattern, Extent extent) {
  const Wildcard wildcard = Wildcard::shell_pattern(pattern);
  const std::u32string characters = characters_of(value);
  check_work(wildcard.size(), characters.size(), 1);
  const auto end = end_of_match(wildcard, characters, 0, extent);
  return end ? text_of(std::u32string_view(characters).substr(*end)) : std::string(value);
}

std::string without_suffix(std::string_view value, std::string_view pattern, Extent extent) {
  const Wildcard wildcard = Wildcard::shell_pattern(pattern).reversed();
  std::u32string characters = characters_of(value);
  check_work(wildcard.size(), characters.size(), 1);
  std::reverse(characters.begin(), characters.end());
  const auto end = end_of_match(wildcard, characters, 0, extent);
  if (!end) return std::string(value);
  characters.erase(0, *end);
  std::reverse(characters.begin(), characters.end());
  return text_of(characters);
}

std::string with_replaced(std::string_view value, std::string_view pattern, std::string_view text, Occurrences which) {
  const Wildcard wildcard = Wildcard::shell_pattern(pattern);
  const std::u32string characters = characters_of(value);
  check_work(wildcard.size(), characters.size(), characters.size());
  const std::u32string replacement = characters_of(text);
  std::u32string result;
  std::size_t at = 0;
  std::optional<std::size_t> last_end;
  bool is_done = false;
  while (at <= characters.size() && !is_done) {
    const auto end = end_of_match(wildcard, characters, at, Extent::longest);
    // Nothing may not be replaced just behind a match: "*" takes all of a value once, not its empty end again.
    const bool is_match = end && !(*end == at && last_end == at);
    if (is_match) {
      if (result.size() + replacement.size() > k_max_characters) throw Error("the value grows too long");
      result += replacement;
      last_end = *end;
      is_done = which == Occurrences::first;
    }
    if (is_match && *end > at) {
      at = *end;
    } else {
      if (at < characters.size() && !is_done) result += characters[at];
      if (!is_done) ++at;
    }
  }
  if (at < characters.size()) result += std::u32string_view(characters).substr(at);
  return text_of(result);
}

}  // namespace mlctr::containerfile
