// UTF-8 (RFC 3629), strictly: overlong forms, surrogates and codes past U+10FFFF are invalid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlctr {

struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 0;  ///< 0: the first byte starts no valid sequence
};

/// The first character of a text that is not empty.
Character decode_first(std::string_view text);

}  // namespace mlctr
