// Text as one word of a POSIX shell, whatever bytes it has.
#pragma once

#include <string>
#include <string_view>

namespace mlctr {

/// Between single quotes, always: for scripts.
std::string shell_quoted(std::string_view text);

/// The same, but as it is where a shell would take it so: for people.
std::string shell_word(std::string_view text);

}  // namespace mlctr
