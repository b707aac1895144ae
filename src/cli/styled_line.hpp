// One line of terminal text put together piece by piece, its width known although it may carry colours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cli/terminal.hpp"

namespace mlctr::cli {

enum class Style { plain, dim, bold, good, active, bad };

class StyledLine {
 public:
  explicit StyledLine(Colour colour) : colour_(colour) {}

  StyledLine& add(std::string_view text, Style style = Style::plain);

  const std::string& text() const noexcept { return text_; }
  std::size_t columns() const noexcept { return columns_; }

 private:
  Colour colour_;
  std::string text_;
  std::size_t columns_ = 0;
};

}  // namespace mlctr::cli
