#include "cli/text_width.hpp"

#include <wchar.h>

#include <algorithm>
#include <cwchar>

namespace mlctr::cli {
namespace {

struct Character {
  std::size_t bytes;
  std::size_t columns;
};

// The first character of a text that is not empty. A byte that is no character here counts as one column: terminals
// show a replacement character for it.
Character first_character(std::string_view text) {
  wchar_t wide = 0;
  std::mbstate_t state{};
  const std::size_t bytes = std::mbrtowc(&wide, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return {1, 1};
  const int columns = ::wcwidth(wide);
  return {bytes, columns < 0 ? 1u : static_cast<std::size_t>(columns)};
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    columns += character.columns;
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string cut_to_width(std::string_view text, std::size_t columns) {
  std::size_t kept = 0;
  std::size_t used = 0;
  while (kept < text.size()) {
    const Character character = first_character(text.substr(kept));
    if (used + character.columns > columns) break;
    used += character.columns;
    kept += character.bytes;
  }
  return std::string(text.substr(0, kept));
}

std::string fold(std::string_view line, std::size_t columns, std::size_t indent) {
  std::string folded(line.substr(0, std::min(line.find_first_not_of(' '), line.size())));
  std::size_t used = folded.size();
  bool is_first = true;
  for (line.remove_prefix(folded.size()); !line.empty();) {
    const std::size_t spaces = std::min(line.find_first_not_of(' '), line.size());
    const std::string_view word = line.substr(spaces, line.find(' ', spaces) - spaces);
    const std::size_t width = display_width(word);
    if (!is_first && used + spaces + width > columns) {
      folded.append("\n").append(indent, ' ').append(word);
      used = indent + width;
    } else {
      folded.append(spaces, ' ').append(word);
      used += spaces + width;
    }
    is_first = false;
    line.remove_prefix(spaces + word.size());
  }
  return folded;
}

std::string elide_end(std::string_view text, std::size_t columns, std::string_view ellipsis) {
  const std::size_t mark = display_width(ellipsis);
  if (display_width(text) <= columns || columns < mark) return cut_to_width(text, columns);
  return cut_to_width(text, columns - mark).append(ellipsis);
}

std::string elide_middle(std::string_view text, std::size_t columns, std::string_view ellipsis) {
  const std::size_t mark = display_width(ellipsis);
  if (display_width(text) <= columns || columns < mark) return cut_to_width(text, columns);
  const std::size_t tail_columns = (columns - mark) / 2;
  std::string_view tail = text;
  while (display_width(tail) > tail_columns) tail.remove_prefix(first_character(tail).bytes);
  return cut_to_width(text, columns - mark - tail_columns).append(ellipsis).append(tail);
}

std::string fit_to_width(std::string_view text, std::size_t columns, Align align) {
  std::string fitted = cut_to_width(text, columns);
  const std::string padding(columns - display_width(fitted), ' ');
  return align == Align::left ? fitted + padding : padding + fitted;
}

}  // namespace mlctr::cli
