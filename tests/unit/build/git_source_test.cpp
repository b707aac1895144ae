#include "build/git_source.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"

namespace mlctr::build {
namespace {

std::string parsed(const std::string& text) {
  const auto source = parse_git_source(text);
  return source ? source->url + " " + source->reference + " " + source->directory : "none";
}

}  // namespace

TEST_CASE("what is a repository") {
  CHECK(parsed("https://github.com/a/b.git") == "https://github.com/a/b.git HEAD .");
  CHECK(parsed("https://github.com/a/b.git#v1.0") == "https://github.com/a/b.git v1.0 .");
  CHECK(parsed("https://github.com/a/b.git#main:src/x/") == "https://github.com/a/b.git main src/x");
  CHECK(parsed("https://github.com/a/b.git#:src") == "https://github.com/a/b.git HEAD src");
  CHECK(parsed("https://github.com/a/b.git#:/") == "https://github.com/a/b.git HEAD .");
  CHECK(parsed("git://h/x#feature/y") == "git://h/x feature/y .");
  CHECK(parsed("git@github.com:a/b.git#t:d") == "git@github.com:a/b.git t d");
  CHECK(parsed("ssh://git@h:22/a") == "ssh://git@h:22/a HEAD .");
}

TEST_CASE("what is none") {
  for (const char* text : {"https://github.com/a/b", "https://h/b.git.tar", "file.git", "dir/a@b:c", "/x.git",
                           "ext::sh -c touch% /x", "file:///x.git", "-oProxyCommand=x@h:y", "a:b@c"}) {
    CAPTURE(text);
    CHECK(parsed(text) == "none");
  }
}

TEST_CASE("what is not asked for") {
  for (const char* text : {"https://u:secret@h/b.git", "ssh://u:secret@h/b", "git://h/x#--upload-pack=y", "git://h/x#a..b",
                           "git://h/x#a b", "git://h/x#a:../b", "git://h/x#a:b/../../c", "git://h/x#a:b*", "git://h/x#a@{1}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_git_source(text), Error);
  }
  CHECK_NOTHROW(parse_git_source("https://user@h/b.git"));
}

}  // namespace mlctr::build
