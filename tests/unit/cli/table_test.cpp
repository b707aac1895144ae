#include "cli/table.hpp"

#include <doctest/doctest.h>

#include <clocale>

using namespace mlctr::cli;

TEST_CASE("columns are as wide as their widest cell, and no line ends in spaces") {
  Table table({{"NAME"}, {"SIZE", Align::right}, {"NOTE"}});
  table.add({"python:3.8", "219 MB", ""});
  table.add({"a", "1 B", "x"});
  CHECK(table.text() ==
        "NAME          SIZE  NOTE\n"
        "python:3.8  219 MB\n"
        "a              1 B  x\n");
}

TEST_CASE("wide characters keep the columns straight") {
  REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr);
  Table table({{"NAME"}, {"SIZE"}});
  table.add({"日本", "1"});
  table.add({"abcde", "2"});
  CHECK(table.text() ==
        "NAME   SIZE\n"
        "日本   1\n"
        "abcde  2\n");
  std::setlocale(LC_CTYPE, "C");
}

TEST_CASE("a list of nothing is its headings") {
  CHECK(Table({{"A"}, {"B"}}).text() == "A  B\n");
}
