#include "cli/styled_line.hpp"

#include "cli/text_width.hpp"

namespace mlctr::cli {
namespace {

// Only the terminal's own palette: it is readable on light and dark backgrounds alike.
std::string_view escape_for(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::dim:
      return "\x1b[2m";
    case Style::bold:
      return "\x1b[1m";
    case Style::good:
      return "\x1b[32m";
    case Style::active:
      return "\x1b[36m";
    case Style::bad:
      return "\x1b[31m";
  }
  return "";
}

}  // namespace

StyledLine& StyledLine::add(std::string_view text, Style style) {
  columns_ += display_width(text);
  const std::string_view escape = colour_ == Colour::on && !text.empty() ? escape_for(style) : std::string_view();
  text_ += escape;
  text_ += text;
  if (!escape.empty()) text_ += "\x1b[0m";
  return *this;
}

}  // namespace mlctr::cli
