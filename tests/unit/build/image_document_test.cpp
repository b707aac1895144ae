#include "build/image_document.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"

using namespace mlctr;
using build::ImageDocument;

TEST_CASE("times are RFC 3339 in both directions") {
  CHECK(build::format_time(0) == "1970-01-01T00:00:00Z");
  CHECK(build::parse_time("2026-01-31T12:00:00Z") == build::parse_time("2026-01-31T14:00:00.123456789+02:00"));
  CHECK(build::format_time(*build::parse_time("2038-06-01T01:02:03Z")) == "2038-06-01T01:02:03Z");
  for (const char* wrong : {"", "yesterday", "1960-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}) {
    CHECK_FALSE(build::parse_time(wrong));
  }
}

TEST_CASE("an ENTRYPOINT takes the base's CMD away, not the stage's own") {
  const std::string base =
      R"({"architecture":"amd64","os":"linux","config":{"Cmd":["base"]},"rootfs":{"type":"layers","diff_ids":[]}})";
  const containerfile::Entrypoint entrypoint{
      {.form = containerfile::CommandForm::exec, .words = {"e"}, .heredocs = {}}};
  const containerfile::Cmd command{{.form = containerfile::CommandForm::shell, .words = {"own"}, .heredocs = {}}};
  ImageDocument bare(base);
  bare.apply(entrypoint);
  CHECK(parse_image_config(bare.write({}, 0)).command.empty());
  ImageDocument own(base);
  own.apply(command);
  own.apply(entrypoint);
  CHECK(parse_image_config(own.write({}, 0)).command == std::vector<std::string>{"/bin/sh", "-c", "own"});
}

TEST_CASE("what a base says of things unknown to us stays") {
  ImageDocument document(std::string(
      R"({"os":"linux","architecture":"arm64","variant":"v8","config":{"ArgsEscaped":true,"OnBuild":["RUN x"]},"container":"c0ffee","rootfs":{"type":"layers","diff_ids":[]},"created":"2020-01-01T00:00:00Z"})"));
  CHECK(document.take_triggers() == std::vector<std::string>{"RUN x"});
  document.add_history("RUN y", build::LayerMade::yes);
  const auto json = nlohmann::json::parse(document.write({}, 60));
  CHECK(json["config"] == nlohmann::json{{"ArgsEscaped", true}});
  CHECK(json["variant"] == "v8");
  CHECK(json["created"] == "1970-01-01T00:01:00Z");
  CHECK_FALSE(json.contains("container"));
  CHECK(json["history"].size() == 1);
  CHECK_FALSE(json["history"][0].contains("empty_layer"));
}
