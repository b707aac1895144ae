#include "image/json_value.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

std::string json_complaint(std::string_view text, const JsonLimits& limits = {}) {
  return thrown_by([&] { parse_json(text, limits); }).message;
}

}  // namespace

TEST_CASE("limits hold before anything is parsed") {
  const JsonLimits limits{.max_bytes = 1000, .max_depth = 3, .max_values = 5};
  CHECK_NOTHROW(parse_json("[[[1]]]", limits));
  CHECK(contains(json_complaint("[[\n[[1]]]]", limits), "deeper than 3 levels at line 2, column 2"));
  CHECK_NOTHROW(parse_json("[1,2,3,4]", limits));
  CHECK(contains(json_complaint("[1,2,3,4,5]", limits), "more than 5 values"));
  CHECK(contains(json_complaint(std::string(1001, ' '), limits), "1001 bytes, more than the 1000"));
  // What stands in a string is no structure, whatever quotes are in it.
  CHECK_NOTHROW(parse_json(R"(["[[[[,,,,,,\"[[[[{{{{", "\\"])", limits));
}

TEST_CASE("a million brackets end in an error, not in the stack") {
  CHECK(contains(json_complaint(std::string(1'000'000, '[')), "deeper than 64"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(contains(json_complaint(objects), "deeper than 64"));
}

TEST_CASE("what is no JSON is located, never quoted") {
  CHECK(json_complaint("") == "not valid JSON at line 1, column 1");
  CHECK(json_complaint("{\"a\": 1,\n \"b\": hunter2}") == "not valid JSON at line 2, column 7");
  CHECK(contains(json_complaint("{} x"), "line 1, column 4"));
  CHECK(contains(json_complaint("\"\xff\""), "line 1, column 2"));
  CHECK(contains(json_complaint("[1e999]"), "out of range"));
}

TEST_CASE("a wrong shape is named by its path") {
  const nlohmann::json document =
      parse_json(R"({"layers":[{},{"digest":7,"size":-1,"x y":{"z":true}}],"none":null,"n":1.5,"s":"a\u0000b"})", {});
  const JsonValue root(document);
  const auto layers = root.at("layers").elements(10);
  const auto message = [](auto&& action) { return thrown_by(action).message; };
  CHECK(message([&] { layers[1].at("digest").as_string(); }) ==
        "$.layers[1].digest: expected a string, found a number");
  CHECK(message([&] { layers[0].at("digest"); }) == "$.layers[0].digest: missing");
  CHECK(message([&] { root.at("none"); }) == "$.none: missing");
  CHECK(message([&] { layers[1].at("size").as_unsigned(10); }) ==
        "$.layers[1].size: expected a whole number that is not negative");
  CHECK(message([&] { root.at("n").as_unsigned(10); }) == "$.n: expected a whole number that is not negative");
  CHECK(message([&] { layers[1].at("digest").as_unsigned(6); }) == "$.layers[1].digest: 7 is more than the 6 allowed");
  CHECK(message([&] { layers[1].at("x y").at("z").find("q"); }) ==
        "$.layers[1][\"x y\"].z: expected an object, found a boolean");
  CHECK(message([&] { root.at("layers").elements(1); }) == "$.layers: it has 2 elements, more than the 1 allowed");
  CHECK(message([&] { root.at("layers").as_strings(); }) == "$.layers[0]: expected a string, found an object");
  CHECK(message([&] {
          root.members();
          root.at("s").as_string();
        }) == "$.s: the string has a NUL character in it");
}

TEST_CASE("a hostile name in a path can't drive the terminal") {
  const nlohmann::json document = parse_json("{\"\\u001b[2J\": {\"a\\u0000\": 1}}", {});
  const auto [name, value] = JsonValue(document).members().front();
  CHECK(thrown_by([&] { value.as_string(); }).message == "$[\"\\x1b[2J\"]: expected a string, found an object");
  CHECK(contains(thrown_by([&] { value.members(); }).message, "NUL"));
}
