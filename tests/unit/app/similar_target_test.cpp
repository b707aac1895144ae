#include "app/similar_target.hpp"

#include <doctest/doctest.h>

#include "tests/unit/app/store_fixture.hpp"

using namespace mlctr;
using namespace mlctr::test;

TEST_CASE("one slip is a character too much, missing or wrong, or two swapped") {
  for (const char* slip : {"pyton:3", "pythonn:3", "pythom:3", "pyhton:3", "ppython:3", "python:", "ython:3"}) {
    CAPTURE(slip);
    const bool is_digit_alone = std::string_view(slip) == "python:";
    CHECK(is_one_slip(slip, "python:3", Digits::counted));
    CHECK(is_one_slip(slip, "python:3", Digits::versions) != is_digit_alone);
  }
  for (const char* other : {"python:3", "pyto:3", "yptohn:3", "ruby:3", "", "pythno:31"}) {
    CHECK_FALSE_MESSAGE(is_one_slip(other, "python:3", Digits::versions), other);
  }
}

TEST_CASE("another version is no slip") {
  CHECK_FALSE(is_one_slip("python:3.8", "python:3.9", Digits::versions));
  CHECK_FALSE(is_one_slip("python:3.1", "python:3.11", Digits::versions));
  CHECK_FALSE(is_one_slip("cuda11", "cuda12", Digits::versions));
  CHECK(is_one_slip("python:3.8", "python:3.x", Digits::versions));
}

TEST_CASE("an image is like another whose name is one slip away, however both are typed") {
  StoreFixture fixture;
  const Digest digest = Digest::from_hex(HashAlgorithm::sha256, std::string(64, 'a'));
  fixture.add_image(digest, {}, {"docker.io/library/python:3.8", "r.io/team/model:v2"});
  const auto similar = [&](std::string_view text) { return similar_image(fixture.configuration(), text); };
  CHECK(similar("pyton:3.8") == "python:3.8");
  CHECK(similar("docker.io/library/pyhton:3.8") == "python:3.8");
  CHECK(similar("r.io/tema/model:v2") == "r.io/team/model:v2");
  CHECK(similar("python:3.9").empty());
  CHECK(similar("ruby:3.8").empty());
  CHECK(similar("sha256:" + std::string(64, 'b')).empty());
}
