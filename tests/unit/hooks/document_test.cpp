#include "hooks/document.hpp"

#include <doctest/doctest.h>

#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;

namespace {

struct Refused {
  std::size_t line;
  std::string message;
};

Refused refused_at(std::string_view text) {
  try {
    const DocumentNode document = parse_document(text);
    DocumentFields fields(document, "it");
    fields.find("known");
    fields.finish();
  } catch (const DocumentError& error) {
    return {error.line(), error.message()};
  }
  FAIL("nothing was refused");
  return {};
}

}  // namespace

TEST_CASE("YAML and JSON are read alike, each value with its line") {
  const std::string yaml = "---\n# said first\nknown:\n  - a\n  - 'b'\nother: {x: 1}\n";
  const std::string json = "{\n\n\"known\": [\n\"a\",\n\t\"b\"], \"other\":\t{\"x\": 1}}\n";
  for (const std::string& text : {yaml, json}) {
    CAPTURE(text);
    const DocumentNode document = parse_document(text);
    DocumentFields fields(document, "it");
    CHECK(fields.texts("known") == std::vector<std::string>{"a", "b"});
    CHECK(fields.require("known").line == (text == yaml ? 4 : 3));
    DocumentFields other(fields.require("other"), "other");
    CHECK(number_of(other.require("x"), "x", 0, 9) == 1);
    CHECK_NOTHROW(fields.finish());
  }
}

TEST_CASE("what is wrong is told with its line") {
  CHECK(refused_at("known: 1\nmore: 2\n").line == 2);
  CHECK(refused_at("known: 1\nmore: 2\n").message == "it has an unknown field, more");
  CHECK(refused_at("known: 1\n\nknown: 2\n").line == 3);
  CHECK(refused_at("known: &a 1\n").message == "anchors are not taken here");
  CHECK(refused_at("x: &a [1]\nknown: *a\n").line == 1);
  CHECK(refused_at("known: !!binary aGk=\n").line == 1);
  CHECK(refused_at("known: [1\n").line > 0);
  CHECK(refused_at("[a, b]: 1\n").message == "a name of a field must be a word");
  CHECK(refused_at("- 1\n").message == "it must be a map of fields");
  CHECK(refused_at("").message == "there is nothing in it");
  CHECK(refused_at("a: 1\n---\nb: 1\n").message == "there is a second document in it");
  CHECK(refused_at(std::string(100, '[')).message != "");
  CHECK(refused_at(std::string(50'000, '[')).message != "");
}

TEST_CASE("a text may look like a number, a number not like a text") {
  const DocumentNode document = parse_document("a: 0\nb: '0'\nc: 0660\nd: 0x1f\ne: true\nf: 'true'\ng: -1\nh: ~\n");
  DocumentFields fields(document, "it");
  CHECK(fields.text("a") == "0");
  CHECK(number_of(fields.require("c"), "c", 0, 1000) == 0660);
  CHECK(number_of(fields.require("d"), "d", 0, 1000) == 31);
  CHECK(number_of(fields.require("g"), "g", -1, 1000) == -1);
  CHECK(truth_of(fields.require("e"), "e"));
  CHECK(fields.find("h") == nullptr);
  CHECK_THROWS_AS(number_of(fields.require("b"), "b", 0, 9), DocumentError);
  CHECK_THROWS_AS(number_of(fields.require("d"), "d", 0, 30), DocumentError);
  CHECK_THROWS_AS(truth_of(fields.require("f"), "f"), DocumentError);
  CHECK_THROWS_AS(fields.require("none"), DocumentError);
}
