#include "base/nul_separated.hpp"

#include <doctest/doctest.h>

using namespace mlctr;
using namespace std::string_view_literals;

TEST_CASE("texts that have a NUL behind each") {
  CHECK(split_at_nul("").empty());
  CHECK(split_at_nul("A=1\0B=two words\0"sv) == std::vector<std::string>{"A=1", "B=two words"});
  CHECK(split_at_nul("A=1\0B"sv) == std::vector<std::string>{"A=1", "B"});
  CHECK(split_at_nul("\0\0A=1\0\0"sv) == std::vector<std::string>{"A=1"});
}
