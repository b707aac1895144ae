#include "app/running_container.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "thrown.hpp"

using namespace mlctr;

TEST_CASE("a description comes back whole, bytes that are no UTF-8 included") {
  const RunningContainer sent{.name = "py38",
                              .image = "/data/\xff.sqsh",
                              .command = {"sh", "-c", "echo \xe9\xc3\xa9 \x01"},
                              .started_at = 17,
                              .remap = runtime::Remap::root,
                              .home = runtime::HomeMount::no,
                              .image_environment = {"A=\x80\xbf\xc0"},
                              .environment = {"B=1", "C="},
                              .image_directory = "/work",
                              .working_directory = "/\xfe"};
  const RunningContainer found = parse_description(to_description(sent));
  CHECK(found.name == sent.name);
  CHECK(found.image == sent.image);
  CHECK(found.command == sent.command);
  CHECK(found.started_at == 17);
  CHECK(found.remap == runtime::Remap::root);
  CHECK(found.home == runtime::HomeMount::no);
  CHECK(found.image_environment == sent.image_environment);
  CHECK(found.environment == sent.environment);
  CHECK(found.image_directory == sent.image_directory);
  CHECK(found.working_directory == sent.working_directory);
  CHECK(found.pids.empty());
}

TEST_CASE("what the server adds is read") {
  auto json = nlohmann::json::parse(to_description({.name = "c"}));
  json["pids"] = {4, 5};
  json["mount_namespace"] = "mnt:[4026532758]";
  CHECK(parse_description(json.dump()).first_program == RunningContainer::FirstProgram::runs);
  json["first_has_ended"] = true;
  const RunningContainer found = parse_description(json.dump());
  CHECK(found.first_program == RunningContainer::FirstProgram::ended);
  CHECK(found.pids == std::vector<pid_t>{4, 5});
  CHECK(found.mount_namespace == "mnt:[4026532758]");
}

TEST_CASE("what is no description is refused") {
  auto wide = nlohmann::json::parse(to_description({.name = "c"}));
  wide["image"] = "\xe2\x82\xac";  // no byte has this code point
  for (const std::string& text :
       {std::string(""), std::string("{}"), std::string("[1]"), std::string("{\"name\":3}"), wide.dump()}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_description(text), Error);
  }
}
