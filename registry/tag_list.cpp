#include "registry/tag_list.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/ascii.hpp"
#include "registry/transport.hpp"

namespace mlctr {
namespace {

using nlohmann::json;

constexpr std::size_t k_max_tag_bytes = 128;  // distribution/reference's grammar

bool is_tag(std::string_view text) {
  const auto is_tag_character = [](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; };
  return !text.empty() && text.size() <= k_max_tag_bytes && std::all_of(text.begin(), text.end(), is_tag_character);
}

// Levenshtein's, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> parse_tag_list(std::string_view body) {
  const json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) throw RemoteError("the list of tags is not a JSON object");
  const auto tags = parsed.find("tags");
  if (tags == parsed.end() || tags->is_null()) return {};
  if (!tags->is_array()) throw RemoteError("the list of tags: .tags is not an array");
  std::vector<std::string> names;
  for (const json& tag : *tags) {
    if (tag.is_string() && is_tag(tag.get_ref<const std::string&>())) names.push_back(tag.get<std::string>());
  }
  return names;
}

std::string next_page(std::string_view link) {
  const std::size_t open = link.find('<');
  const std::size_t close = link.find('>');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  const std::string_view parameters = link.substr(close);
  if (parameters.find("rel=\"next\"") == std::string_view::npos &&
      parameters.find("rel=next") == std::string_view::npos) {
    return {};
  }
  return std::string(link.substr(open + 1, close - open - 1));
}

std::vector<std::string> nearest_tags(std::string_view wanted, std::vector<std::string> tags, std::size_t at_most) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (std::string& tag : tags) {
    const std::size_t distance = edit_distance(wanted, tag);
    ranked.emplace_back(distance, std::move(tag));
  }
  std::sort(ranked.begin(), ranked.end());
  if (ranked.size() > at_most) ranked.resize(at_most);
  std::vector<std::string> nearest;
  for (auto& [distance, tag] : ranked) nearest.push_back(std::move(tag));
  return nearest;
}

}  // namespace mlctr
