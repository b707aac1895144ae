// How many terminal columns a text takes, and texts made to take a given number of them. UTF-8 where the locale is
// (wide and combining characters counted as the terminal does), bytes elsewhere. Text from outside must have gone
// through printable() first: a control character has no width to count.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mlctr::cli {

std::size_t display_width(std::string_view text);

/// `text` cut to at most `columns`; never splits a character.
std::string cut_to_width(std::string_view text, std::size_t columns);

/// The same, but what is left out is shown by `ellipsis`: at the end, or in the middle for names, whose ends tell them
/// apart.
std::string elide_end(std::string_view text, std::size_t columns, std::string_view ellipsis);
std::string elide_middle(std::string_view text, std::size_t columns, std::string_view ellipsis);

/// Lines of at most `columns`, broken at spaces, those after the first indented by `indent`; a longer word has its own.
std::string fold(std::string_view line, std::size_t columns, std::size_t indent);

enum class Align { left, right };

/// Exactly `columns` wide: cut, or padded with spaces.
std::string fit_to_width(std::string_view text, std::size_t columns, Align align = Align::left);

}  // namespace mlctr::cli
