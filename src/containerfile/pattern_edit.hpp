// ${x#pattern}, ${x%pattern} and ${x/pattern/text}.
#pragma once

#include <string>
#include <string_view>

namespace mlctr::containerfile {

enum class Extent { shortest, longest };
enum class Occurrences { first, all };

/// `value` without the part at its start (its end) that matches. All throw Error where the pattern is malformed or too
/// long for the value.
std::string without_prefix(std::string_view value, std::string_view pattern, Extent extent);
std::string without_suffix(std::string_view value, std::string_view pattern, Extent extent);

/// With `text` where the pattern matches: from the left, each match as long as can be.
std::string with_replaced(std::string_view value, std::string_view pattern, std::string_view text, Occurrences which);

}  // namespace mlctr::containerfile
