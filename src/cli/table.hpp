// Rows of text in aligned columns, as lists are printed.
#pragma once

#include <string>
#include <vector>

#include "cli/text_width.hpp"

namespace mlctr::cli {

class Table {
 public:
  struct Column {
    std::string heading;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column; text from outside must be printable.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  /// The headings and the rows, each line ended; nothing is cut, so that what is printed can be used.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mlctr::cli
