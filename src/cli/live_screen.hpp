// The last lines of a terminal, drawn over again and again. Only makes the bytes; whoever writes them does so at once,
// so that no half-drawn frame is ever seen.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/styled_line.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {

class LiveScreen {
 public:
  explicit LiveScreen(NarrowLines narrow_lines) : narrow_lines_(narrow_lines) {}

  /// Replaces the lines drawn before by `above` (printed once, to scroll away with what came before) and `lines`.
  /// `columns` is the terminal's width now: lines that a narrower terminal has wrapped meanwhile are cleared as well.
  std::string repaint(const std::vector<std::string>& above, const std::vector<StyledLine>& lines, std::size_t columns);

  /// Removes the drawn lines: what comes next stands in their place.
  std::string clear(std::size_t columns);

 private:
  std::string move_to_first_line(std::size_t columns) const;

  NarrowLines narrow_lines_;
  std::vector<std::size_t> drawn_columns_;  // one a line; the cursor rests at the start of the last
};

}  // namespace mlctr::cli
