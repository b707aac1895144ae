// What someone who mistyped a word may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// The one of `words` that the fewest slips of a finger (a letter too much, missing, wrong, or two swapped) turn into
/// `word`, or that begins with it; empty where none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

}  // namespace mlctr
