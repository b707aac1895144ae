// Compared with moby/patternmatcher on random patterns too; what is odd here is odd there.
#include "containerfile/ignore_file.hpp"

#include <doctest/doctest.h>

#include "containerfile/place.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr::containerfile;

namespace {

bool is_ignored(std::string_view lines, std::string_view path) {
  return IgnorePatterns::parse(lines, ".dockerignore").is_ignored(path);
}

}  // namespace

TEST_CASE("patterns ignore what they match and what is below it") {
  CHECK(is_ignored("a", "a"));
  CHECK(is_ignored("a", "a/b/c"));
  CHECK(!is_ignored("a", "b/a"));
  CHECK(is_ignored("/a/", "a"));
  CHECK(is_ignored("./a/../b", "b"));
  CHECK(is_ignored("*/temp*", "x/temporary/y"));
  CHECK(!is_ignored("*/temp*", "x/y/temp"));
  CHECK(is_ignored("temp?", "tempa"));
  CHECK(is_ignored("**/*.go", "a/b/c.go"));
  CHECK(is_ignored("**/*.go", "c.go"));
  CHECK(is_ignored("a/**", "a/b"));
  CHECK(!is_ignored("a/**", "a"));
  CHECK(is_ignored("a/**/z", "a/b/c/z"));
  CHECK(is_ignored("a/**/z", "a/z"));
  CHECK(is_ignored("**", "anything/at/all"));
  CHECK(is_ignored("**foo", "xfoo"));
  CHECK(!is_ignored("**foo*", "xfoo"));
  CHECK(!is_ignored("# a\n\n  \n", "a"));
  CHECK(is_ignored(" #a", "#a"));
  CHECK(
      is_ignored("\xef\xbb\xbf"
                 "a\r\nb\r\n",
                 "a"));
  CHECK(is_ignored("a+b(c)", "a+b(c)"));
  CHECK(is_ignored("\\*", "*"));
  CHECK(!is_ignored("\\*", "a"));
}

TEST_CASE("exceptions take files back, in order") {
  CHECK(!is_ignored("*.md\n!README.md", "README.md"));
  CHECK(is_ignored("*.md\n!README*.md\nREADME-secret.md", "README-secret.md"));
  CHECK(!is_ignored("*.md\nREADME-secret.md\n!README*.md", "README-secret.md"));
  CHECK(!is_ignored("a\n!a/b", "a/b/c"));
  CHECK(is_ignored("a\n!a/b", "a/c"));
  CHECK(is_ignored("!a\na/x", "a/x"));
  CHECK(is_ignored("a/x\n!a", "a/x"));  // "!a" had nothing to take back at "a", and "a/x" isn't "a"
  CHECK(!is_ignored("a\n! a/b", "a/b"));
}

TEST_CASE("a walk enters an ignored directory only for an exception") {
  const IgnorePatterns ignore = IgnorePatterns::of({"a", "b", "!a/b/c", "!x*/y"});
  CHECK(ignore.may_hold_exceptions("a"));
  CHECK(ignore.may_hold_exceptions("a/b"));
  CHECK(!ignore.may_hold_exceptions("a/d"));
  CHECK(!ignore.may_hold_exceptions("b"));
  CHECK(ignore.may_hold_exceptions("xx"));
  CHECK(IgnorePatterns::of({"b", "!**/z"}).may_hold_exceptions("b/c"));
}

TEST_CASE("a bad pattern is told with its line") {
  const auto thrown = mlctr::test::thrown_by<SyntaxError>([] { is_ignored("ok\n  [a", "x"); });
  CHECK(thrown.message == ".dockerignore:2:3: invalid pattern \"[a\": \"[\" without \"]\"");
  CHECK_THROWS_AS(is_ignored("!", "x"), SyntaxError);
}
