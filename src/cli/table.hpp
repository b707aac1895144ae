// Rows of text in aligned columns, as lists are printed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/text_width.hpp"

namespace mlctr::cli {

class Table {
 public:
  /// What gives way on a terminal that is narrower than the table. cut_end: to some words, else the column goes.
  enum class Narrow { keep, cut_middle, cut_end, drop };
  struct Column {
    std::string heading;
    Align align = Align::left;
    Narrow narrow = Narrow::keep;
  };
  struct Room {
    std::size_t columns = 80;
    std::string_view ellipsis = "…";
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column; text from outside must be printable.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  /// The headings and the rows, each line ended; nothing is cut, so that what is printed can be used.
  std::string text() const;
  /// The same made to fit, as far as the columns give way.
  std::string text(const Room& room) const;

 private:
  using Widths = std::vector<std::size_t>;  // a column of width 0 is left out
  Widths natural_widths() const;
  Widths widths_for(std::size_t room) const;
  std::string cell(std::string_view text, std::size_t column, std::size_t width, std::string_view ellipsis) const;
  std::string lay_out(const Widths& widths, std::string_view ellipsis) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mlctr::cli
