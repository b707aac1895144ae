#include "cli/live_screen.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mlctr::cli {
namespace {

constexpr std::string_view k_clear_line_end = "\x1b[K";
constexpr std::string_view k_clear_below = "\x1b[J";

}  // namespace

std::string LiveScreen::move_to_first_line(std::size_t columns) const {
  std::size_t rows_up = 0;
  for (std::size_t i = 0; i + 1 < drawn_columns_.size(); ++i) {
    const bool is_wrapped = narrow_lines_ == NarrowLines::rewrapped && drawn_columns_[i] > columns;
    rows_up += is_wrapped ? (drawn_columns_[i] + columns - 1) / columns : 1;
  }
  return rows_up == 0 ? "\r" : fmt::format("\r\x1b[{}A", rows_up);
}

std::string LiveScreen::repaint(const std::vector<std::string>& above, const std::vector<StyledLine>& lines,
                                std::size_t columns) {
  columns = std::max<std::size_t>(columns, 1);
  std::string bytes = move_to_first_line(columns);
  // Each line is written over and only then cut to its end: clearing first would flicker. But lines above may wrap, so
  // what was there must go first.
  if (!above.empty()) bytes += k_clear_below;
  for (const std::string& line : above) bytes += line + "\n";

  drawn_columns_.clear();
  for (const StyledLine& line : lines) {
    if (!drawn_columns_.empty()) bytes += "\n";
    bytes += line.text();
    bytes += k_clear_line_end;
    drawn_columns_.push_back(line.columns());
  }
  bytes += k_clear_below;
  bytes += "\r";
  return bytes;
}

std::string LiveScreen::clear(std::size_t columns) {
  std::string bytes = move_to_first_line(std::max<std::size_t>(columns, 1));
  drawn_columns_.clear();
  bytes += k_clear_below;
  return bytes;
}

}  // namespace mlctr::cli
