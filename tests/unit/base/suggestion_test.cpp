#include "base/suggestion.hpp"

#include <doctest/doctest.h>

using mlctr::nearest;

TEST_CASE("a slip of the finger finds the word that was meant") {
  const std::vector<std::string> words{"pull", "images", "inspect", "rmi", "du", "gc", "login", "logout"};
  CHECK(nearest("pul", words) == "pull");
  CHECK(nearest("plul", words) == "pull");  // swapped
  CHECK(nearest("imagse", words) == "images");
  CHECK(nearest("inspekt", words) == "inspect");
  CHECK(nearest("insp", words) == "inspect");  // only begun
  CHECK(nearest("logn", words) == "login");
  CHECK(nearest("rm", words) == "rmi");
}

TEST_CASE("what is far from everything is not guessed at") {
  const std::vector<std::string> words{"pull", "images", "rmi", "du"};
  CHECK(nearest("frobnicate", words) == "");
  CHECK(nearest("xyz", words) == "");
  CHECK(nearest("", words) == "");
  CHECK(nearest(std::string(100'000, 'a'), words) == "");
}
