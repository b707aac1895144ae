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

namespace {

Table images() {
  using Narrow = Table::Narrow;
  Table table({{"REFERENCE", Align::left, Narrow::cut_middle},
               {"DIGEST"},
               {"PLATFORM", Align::left, Narrow::drop},
               {"SIZE", Align::right}});
  table.add({"nvcr.io/nvidia/pytorch:24.01-py3", "0123456789ab", "linux/amd64", "9 GB"});
  return table;
}

}  // namespace

TEST_CASE("a table that fits its room is whole") {
  CHECK(images().text({.columns = 65, .ellipsis = "..."}) == images().text());
}

TEST_CASE("in a narrower room a column that may go goes, then names lose their middle") {
  CHECK(images().text({.columns = 64, .ellipsis = "..."}) ==
        "REFERENCE                         DIGEST        SIZE\n"
        "nvcr.io/nvidia/pytorch:24.01-py3  0123456789ab  9 GB\n");
  CHECK(images().text({.columns = 40, .ellipsis = "..."}) ==
        "REFERENCE             DIGEST        SIZE\n"
        "nvcr.io/n...4.01-py3  0123456789ab  9 GB\n");
}

TEST_CASE("a name keeps some characters however narrow the room") {
  const std::string text = images().text({.columns = 5, .ellipsis = "..."});
  CHECK(text.find("nvcr.io...01-py3  0123456789ab  9 GB") != std::string::npos);
}

TEST_CASE("a sentence is cut at its end, and left out where too little of it would stay") {
  Table table({{"KEY"}, {"WHAT", Align::left, Table::Narrow::cut_end}});
  table.add({"store", "where images, layers and containers are kept"});
  CHECK(table.text({.columns = 32, .ellipsis = "..."}) ==
        "KEY    WHAT\n"
        "store  where images, layers a...\n");
  CHECK(table.text({.columns = 30, .ellipsis = "..."}) == "KEY\nstore\n");
}
