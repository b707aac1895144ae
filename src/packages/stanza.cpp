#include "packages/stanza.hpp"

#include <algorithm>

namespace mlctr::packages {
namespace {

constexpr std::size_t k_max_value_bytes = 1024;  // of names, versions and URLs: what is longer is none

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

void add_field(Stanza& stanza, std::string_view line) {
  const std::size_t colon = line.find(':');
  const bool goes_on = line.starts_with(' ') || line.starts_with('\t');
  if (goes_on || colon == std::string_view::npos || colon > k_max_value_bytes) return;
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (value.size() <= k_max_value_bytes) stanza.try_emplace(std::string(line.substr(0, colon)), value);
}

}  // namespace

std::optional<Stanza> take_stanza(std::string_view& text) {
  while (text.starts_with('\n') || text.starts_with('\r')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  Stanza stanza;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    add_field(stanza, line);
  }
  return stanza;
}

std::string field(const Stanza& stanza, std::string_view name) {
  const auto found = stanza.find(name);
  return found == stanza.end() ? std::string() : found->second;
}

}  // namespace mlctr::packages
