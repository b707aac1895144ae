// Each case was also given to BuildKit's own lexer, which answers the same but where it says otherwise.
#include "containerfile/word_lexer.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace mlctr::containerfile;

namespace {

const std::map<std::string, std::string, std::less<>> k_variables{
    {"A", "a/b.c.txt"}, {"EMPTY", ""}, {"C", "hello  world"}, {"HOME", "/home"}, {"한", "korean"}};

LexedText lexed(std::string_view text, WordLexer::Options options = {}) {
  const WordLexer lexer(options, [](std::string_view name) -> std::optional<std::string> {
    const auto variable = k_variables.find(name);
    if (variable == k_variables.end()) return std::nullopt;
    return variable->second;
  });
  return lexer.lex(text);
}

std::string value(std::string_view text) {
  try {
    return lexed(text).value;
  } catch (const WordError&) {
    return "error";
  }
}

}  // namespace

TEST_CASE("variables have every form that the reference knows") {
  struct Case {
    std::string_view text, value;
  };
  const Case cases[]{{"$HOME", "/home"},
                     {"x${HOME}y", "x/homey"},
                     {"$nope.", "."},
                     {"${nope:-d}", "d"},
                     {"${EMPTY:-d}", "d"},
                     {"${EMPTY-d}", ""},
                     {"${nope-d}", "d"},
                     {"${HOME:+d}", "d"},
                     {"${EMPTY:+d}", ""},
                     {"${EMPTY+d}", "d"},
                     {"${nope+d}", ""},
                     {"${nope:-${nope:-$HOME}}", "/home"},
                     {"${HOME:?m}", "/home"},
                     {"${EMPTY?m}", ""},
                     {"${EMPTY:?m}", "error"},
                     {"${nope?}", "error"},
                     {"${A#*/}", "b.c.txt"},
                     {"${A#*.}", "c.txt"},
                     {"${A##*.}", "txt"},
                     {"${A%.*}", "a/b.c"},
                     {"${A%%.*}", "a/b"},
                     {"${A%nope}", "a/b.c.txt"},
                     {"${A#?/}", "b.c.txt"},
                     {"${A/./-}", "a/b-c.txt"},
                     {"${A//./-}", "a/b-c-txt"},
                     {"${A/\\//-}", "a-b.c.txt"},
                     {"${C// /_}", "hello__world"},
                     {"${C//l*o/X}", "heXrld"},
                     {"${C//*/X}", "X"},
                     {"${A:#x}", "error"},
                     {"${HOME:=x}", "error"},
                     {"${A^}", "error"},
                     {"${", "error"},
                     {"${}", "error"},
                     {"${:-x}", "error"},
                     {"${HOME", "error"},
                     {"${A/x}", "error"},
                     {"$", "$"},
                     {"$.", "$."},
                     {"$1x", "x"},
                     {"$@@", "@"},
                     {"$한", "korean"},
                     {"${#}", ""}};
  for (const Case& one : cases) CHECK_MESSAGE(value(one.text) == one.value, one.text);
}

TEST_CASE("quotes and escapes go as a shell's do") {
  struct Case {
    std::string_view text, value;
  };
  const Case cases[]{{"he'llo $HOME'", "hello $HOME"},
                     {"\"$HOME'x'\"", "/home'x'"},
                     {"\\$HOME", "$HOME"},
                     {"\\\\$HOME", "\\/home"},
                     {"\"a\\tb\\\"c\\$\"", "a\\tb\"c$"},
                     {"'a\\'", "a\\"},
                     {"a\\tb", "atb"},
                     {"a\\", "a"},
                     {"'open", "error"},
                     {"\"open", "error"},
                     {"\"open\\\"", "error"}};
  for (const Case& one : cases) CHECK_MESSAGE(value(one.text) == one.value, one.text);
}

TEST_CASE("a value falls into words where a blank is neither quoted nor escaped") {
  using SplitWords = std::vector<std::string>;
  CHECK(lexed("80 $C").words == SplitWords{"80", "hello", "world"});
  CHECK(lexed("a\"$C\" b").words == SplitWords{"ahello  world", "b"});
  CHECK(lexed("a\\ b").words == SplitWords{"a b"});
  CHECK(lexed("x${A%%.*}").words == SplitWords{"xa/b"});  // BuildKit loses the x there
}

TEST_CASE("unset variables are told, but not where the word stands in for them") {
  const LexedText text = lexed("a${b:-x}$nope");
  REQUIRE(text.unset.size() == 1);
  CHECK(text.unset[0].name == "nope");
  CHECK(text.unset[0].offset == 8);
}

TEST_CASE("a value can't grow or nest without end") {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "$C";
  CHECK_THROWS_AS(lexed(text), WordError);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "${x:-";
  CHECK_THROWS_AS(lexed(deep), WordError);
}
