#include "cli/table.hpp"

#include <algorithm>

namespace mlctr::cli {

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  std::string text;
  const auto append = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      line += (i == 0 ? "" : "  ") + fit_to_width(cell_of(i), widths[i], columns_[i].align);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  append([&](std::size_t i) { return columns_[i].heading; });
  for (const auto& row : rows_) append([&](std::size_t i) { return row[i]; });
  return text;
}

}  // namespace mlctr::cli
