#include "cli/table.hpp"

#include <algorithm>

namespace mlctr::cli {
namespace {

constexpr std::string_view k_gap = "  ";
constexpr std::size_t k_least_name = 16;   // what cutting the middle leaves of a name
constexpr std::size_t k_least_words = 24;  // fewer columns of a sentence say nothing

std::size_t total(const std::vector<std::size_t>& widths) {
  std::size_t columns = 0;
  for (const std::size_t width : widths) columns += width == 0 ? 0 : width + k_gap.size();
  return columns == 0 ? 0 : columns - k_gap.size();
}

}  // namespace

Table::Widths Table::natural_widths() const {
  Widths widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].heading);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  return widths;
}

// The last column gives way first: tables begin with what matters.
Table::Widths Table::widths_for(std::size_t room) const {
  Widths widths = natural_widths();
  const auto excess = [&] { return total(widths) > room ? total(widths) - room : 0; };
  for (std::size_t i = widths.size(); i-- > 0;) {
    if (columns_[i].narrow == Narrow::drop && excess() > 0) widths[i] = 0;
  }
  for (std::size_t i = widths.size(); i-- > 0;) {
    if (columns_[i].narrow != Narrow::cut_end || excess() == 0) continue;
    const bool is_enough = widths[i] >= k_least_words + excess();
    widths[i] = is_enough ? widths[i] - excess() : 0;
  }
  for (std::size_t i = widths.size(); i-- > 0;) {
    if (columns_[i].narrow != Narrow::cut_middle) continue;
    const std::size_t least = std::min(widths[i], std::max(k_least_name, display_width(columns_[i].heading)));
    widths[i] = std::max(least, widths[i] - std::min(widths[i], excess()));
  }
  return widths;
}

std::string Table::cell(std::string_view text, std::size_t column, std::size_t width, std::string_view ellipsis) const {
  const std::string shown = columns_[column].narrow == Narrow::cut_middle ? elide_middle(text, width, ellipsis)
                                                                          : elide_end(text, width, ellipsis);
  return fit_to_width(shown, width, columns_[column].align);
}

std::string Table::lay_out(const Widths& widths, std::string_view ellipsis) const {
  std::string text;
  const auto append = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (widths[i] == 0) continue;
      line.append(line.empty() ? "" : k_gap).append(cell(cell_of(i), i, widths[i], ellipsis));
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  append([&](std::size_t i) { return columns_[i].heading; });
  for (const auto& row : rows_) append([&](std::size_t i) { return row[i]; });
  return text;
}

std::string Table::text() const {
  return lay_out(natural_widths(), "");
}

std::string Table::text(const Room& room) const {
  return lay_out(widths_for(room.columns), room.ellipsis);
}

}  // namespace mlctr::cli
