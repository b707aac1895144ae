// The words of a comma list, without the blanks around them; empty ones are left out.
#pragma once

#include <string_view>
#include <vector>

namespace mlctr::hooks {

std::vector<std::string_view> list_words(std::string_view text, char separator = ',');

/// Without the blanks around it.
std::string_view trimmed(std::string_view text);

}  // namespace mlctr::hooks
