// Text of unknown origin (names in an image, a registry's answer, a helper's output) made safe to show on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mlctr {

/// Keeps readable UTF-8; control characters, invalid bytes and characters that reorder or hide text become \n, \x1b,
/// \u{202e}. At most `max_bytes` of `text` are shown, then "…". For people: what it returns can't be turned back.
std::string printable(std::string_view text, std::size_t max_bytes = 256);

/// The same of what another program or the kernel has to say: its lines become one, "first; second".
std::string printable_lines(std::string_view text, std::size_t max_bytes = 256);

}  // namespace mlctr
