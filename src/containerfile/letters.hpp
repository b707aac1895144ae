// Which characters the language takes for blanks and for letters of a name: Unicode's, as Go's package unicode has
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlctr::containerfile {

/// Bytes of the first character of a text that is not empty; a byte that is no UTF-8 is a character of its own.
std::size_t character_bytes(std::string_view text);

bool is_blank(std::uint32_t code);

/// Bytes of the blank that `text` begins with, 0 where it begins with none.
std::size_t blank_bytes(std::string_view text);

std::string_view without_leading_blanks(std::string_view text);
std::string_view without_blanks_around(std::string_view text);

/// A letter or "_". Beyond ASCII by block: letters of a few symbol blocks are missing.
bool is_name_letter(std::uint32_t code);

}  // namespace mlctr::containerfile
