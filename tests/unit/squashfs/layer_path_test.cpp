#include "squashfs/layer_path.hpp"

#include <doctest/doctest.h>

#include <string>

#include "squashfs/layer_error.hpp"

using namespace mlctr::squashfs;

namespace {

std::string joined(const LayerPath& path) {
  std::string text;
  for (const std::string_view name : path) text += "/" + std::string(name);
  return text;
}

NameMeaning meaning_of(std::string_view name) {
  return classify_name(parse_layer_path(name));
}

}  // namespace

TEST_CASE("paths are cleaned inside the layer's root") {
  CHECK(joined(parse_layer_path("a/b")) == "/a/b");
  CHECK(joined(parse_layer_path("./a//b/")) == "/a/b");
  CHECK(joined(parse_layer_path("///etc/x")) == "/etc/x");
  CHECK(joined(parse_layer_path("a/./../b/c/..")) == "/b");
  CHECK(joined(parse_layer_path("a/...")) == "/a/...");
  CHECK(joined(parse_layer_path("caf\xe9/\xff")) == "/caf\xe9/\xff");
  for (const char* root : {"", "/", ".", "./", "a/.."}) CHECK(parse_layer_path(root).empty());
}

TEST_CASE("hostile input: paths out of the layer or too long for Linux are refused") {
  CHECK_THROWS_AS(parse_layer_path(".."), LayerError);
  CHECK_THROWS_AS(parse_layer_path("/../x"), LayerError);
  CHECK_THROWS_AS(parse_layer_path("a/../../b/a"), LayerError);
  CHECK(parse_layer_path(std::string(255, 'n')).size() == 1);
  CHECK_THROWS_AS(parse_layer_path(std::string(256, 'n')), LayerError);
  std::string longest;
  while (longest.size() < 4096) longest += "a/";
  CHECK(parse_layer_path(longest).size() == 2048);
  CHECK_THROWS_AS(parse_layer_path(longest + "a"), LayerError);
}

TEST_CASE("whiteout names are told from files") {
  CHECK(meaning_of("a/.wh.x") == NameMeaning::whiteout);
  CHECK(meaning_of(".wh.x") == NameMeaning::whiteout);
  CHECK(meaning_of("a/.wh..wh..opq") == NameMeaning::opaque);
  CHECK(meaning_of(".wh..hidden") == NameMeaning::whiteout);
  CHECK(meaning_of(".wh..wh.aufs") == NameMeaning::ignored);
  CHECK(meaning_of(".wh..wh.plnk/12.34") == NameMeaning::ignored);
  CHECK(meaning_of("a.wh.x") == NameMeaning::ordinary);
  CHECK(meaning_of(".whx") == NameMeaning::ordinary);
}

TEST_CASE("hostile input: names that hide nothing are refused") {
  for (const char* name : {".wh.", "a/.wh..", "a/.wh...", ".wh.x/y"}) CHECK_THROWS_AS(meaning_of(name), LayerError);
}
