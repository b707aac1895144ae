// A repository's tags, as the distribution API lists them, and those most like a mistyped one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// {"tags": ["3.8", …]}; null for none. Entries that are no tags are left out. Throws RemoteError where the shape is
/// wrong.
std::vector<std::string> parse_tag_list(std::string_view body);

/// The path of the next page from a Link header (RFC 8288), empty where there is none.
std::string next_page(std::string_view link);

/// Nearest first, by edit distance.
std::vector<std::string> nearest_tags(std::string_view wanted, std::vector<std::string> tags, std::size_t at_most);

}  // namespace mlctr
