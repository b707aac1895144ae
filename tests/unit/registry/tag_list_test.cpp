#include "registry/tag_list.hpp"

#include <doctest/doctest.h>

#include "registry/transport.hpp"

using namespace mlctr;
using Tags = std::vector<std::string>;

TEST_CASE("a list of tags") {
  CHECK(parse_tag_list(R"({"name":"a","tags":["3.8","latest"]})") == Tags{"3.8", "latest"});
  CHECK(parse_tag_list(R"({"name":"a","tags":null})").empty());
  CHECK(parse_tag_list(R"({"name":"a"})").empty());
  CHECK(parse_tag_list("{\"tags\":[\"ok\",7,\"\",\"a\\u001b[31m\",\"a/b\"]}") == Tags{"ok"});
  CHECK_THROWS_AS(parse_tag_list("[]"), RemoteError);
  CHECK_THROWS_AS(parse_tag_list("{\"tags\":{}}"), RemoteError);
  CHECK_THROWS_AS(parse_tag_list("{"), RemoteError);
  CHECK_THROWS_AS(parse_tag_list(std::string(100'000, '[')), RemoteError);
}

TEST_CASE("the next page of a list") {
  CHECK(next_page("</v2/a/tags/list?last=b&n=2>; rel=\"next\"") == "/v2/a/tags/list?last=b&n=2");
  CHECK(next_page("</x>; rel=next") == "/x");
  CHECK(next_page("</x>; rel=\"prev\"").empty());
  CHECK(next_page("").empty());
  CHECK(next_page("> rel=\"next\" <").empty());
}

TEST_CASE("the nearest tags come first") {
  CHECK(nearest_tags("3.88", {"latest", "3.9", "3.8", "2.7", "3.8-slim"}, 3) == Tags{"3.8", "3.9", "2.7"});
  CHECK(nearest_tags("x", {}, 3).empty());
}
