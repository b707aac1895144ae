#include <doctest/doctest.h>

#include "image/reference.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

TEST_CASE("files are told from names by the text alone") {
  for (const std::string text :
       {"cont.sqsh", "dir/cont.squashfs", "x.sif", "/images/python", "./python", "../python:3.8", "/a b"}) {
    CAPTURE(text);
    const ImageSource source = parse_image_source(text);
    REQUIRE(std::holds_alternative<SquashfsSource>(source));
    CHECK(std::get<SquashfsSource>(source).path == text);
    CHECK(to_string(source) == text);
  }
  CHECK(std::holds_alternative<ImageReference>(parse_image_source("sqsh")));
  CHECK(std::holds_alternative<ImageReference>(parse_image_source("docker://r.example/x.sqsh")));
}

TEST_CASE("layouts and archives have a path and may have a name") {
  const auto layout = std::get<OciLayoutSource>(parse_image_source("oci:/data/layout:v1"));
  CHECK(layout.path == "/data/layout");
  CHECK(layout.tag == "v1");
  CHECK(std::get<OciLayoutSource>(parse_image_source("oci:layout")).tag.empty());
  CHECK(std::get<OciArchiveSource>(parse_image_source("oci-archive:a.tar:1")).path == "a.tar");
  // As skopeo writes it: all behind the first colon is the name.
  const auto archive =
      std::get<DockerArchiveSource>(parse_image_source("docker-archive:a.tar:r.example:5000/python:3.8"));
  CHECK(archive.path == "a.tar");
  CHECK(archive.tag == "r.example:5000/python:3.8");
}

TEST_CASE("a source that names nothing is refused with the form") {
  CHECK(contains(thrown_by<UsageError>([] { parse_image_source("oci:"); }).hint, "oci:PATH[:NAME]"));
  CHECK(contains(thrown_by<UsageError>([] { parse_image_source("oci-archive::x"); }).message, "path is missing"));
  CHECK(contains(thrown_by<UsageError>([] { parse_image_source("docker-archive:a.tar:"); }).message,
                 "name after the last ':' is empty"));
  CHECK(contains(thrown_by<UsageError>([] { parse_image_source("oci:a:b c"); }).message, "no image's name has"));
  CHECK(contains(thrown_by<UsageError>([] { parse_image_source(std::string("/a\0b", 4)); }).message, "NUL"));
  CHECK_THROWS_AS(parse_image_source(""), UsageError);
}

TEST_CASE("what only docker or podman can read is refused with the way out") {
  const auto hint = [](const char* text) { return thrown_by<UsageError>([&] { parse_image_source(text); }).hint; };
  CHECK(contains(hint("docker-daemon:python:3.8"), "docker save -o FILE.tar python:3.8, then docker-archive:FILE.tar"));
  CHECK(contains(hint("containers-storage:x"), "podman save"));
  CHECK(std::holds_alternative<ImageReference>(parse_image_source("docker-daemon")));
}

TEST_CASE("a source is printed so that it can be typed again") {
  for (const std::string text : {"python:3.8", "me@ghcr.io/owner/name:1", "oci:/d/l:v1", "oci:l", "oci-archive:a.tar",
                                 "docker-archive:a.tar:x:1", "/images/python", "docker://oci:latest",
                                 "docker://docker-daemon:x", "docker://r.example/a:x.sqsh"}) {
    CAPTURE(text);
    CHECK(to_string(parse_image_source(text)) == text);
  }
}
