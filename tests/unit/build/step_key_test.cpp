#include "build/step_key.hpp"

#include <doctest/doctest.h>

using mlctr::build::StepKey;

TEST_CASE("different rows of fields never have one key") {
  const auto key = [](std::initializer_list<std::string_view> fields) {
    StepKey row("x");
    for (const auto field : fields) row.add(field);
    return row.finish();
  };
  CHECK(key({"a", "b"}) == key({"a", "b"}));
  CHECK(key({"a", "b"}) != key({"ab"}));
  CHECK(key({"a", "b"}) != key({"ab", ""}));
  CHECK(key({"a", "b"}) != key({"b", "a"}));
  CHECK(key({}) != key({""}));
  const std::string_view hidden("a\1\0\0\0\0\0\0\0b", 10);  // looks like two fields
  CHECK(key({"a", "b"}) != key({hidden}));
}

TEST_CASE("numbers are fields of their own") {
  CHECK(StepKey("x").add_number(1).add_number(2).finish() != StepKey("x").add_number(2).add_number(1).finish());
  CHECK(StepKey("x").finish() != StepKey("y").finish());
}
