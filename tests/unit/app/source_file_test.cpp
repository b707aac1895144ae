#include "app/source_file.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

std::string tar_of(std::initializer_list<const char*> members) {
  TarBuilder tar;
  for (const char* name : members) tar.add({.name = name, .content = "{}"});
  return tar.finish();
}

// One of each kind, in the current directory.
class Zoo {
 public:
  Zoo() {
    std::filesystem::current_path(directory_.path());
    directory_.write("image", "hsqs and more");
    directory_.write("image.sif", std::string("#!/usr/bin/env run-singularity\n\0", 32) + "SIF_MAGIC");
    directory_.write("layout/oci-layout", "{}");
    directory_.write("empty/x", "");
    directory_.write("script", "#!/bin/sh\n");
    directory_.write("x.tar.gz", "\x1f\x8b\x08");
    directory_.write("oci.tar", tar_of({"blobs/sha256/x", "oci-layout"}));
    directory_.write("docker.tar", tar_of({"layer.tar", "manifest.json"}));
    directory_.write("both.tar", tar_of({"oci-layout", "manifest.json"}));
    directory_.write("rootfs.tar", tar_of({"etc/passwd"}));
    directory_.write("cut.tar", tar_of({"manifest.json"}).substr(0, 513));
  }
  ~Zoo() { std::filesystem::current_path(before_); }
  Zoo(const Zoo&) = delete;
  Zoo& operator=(const Zoo&) = delete;

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
  TemporaryDirectory directory_;
};

std::string hint_for(std::string_view text) {
  return thrown_by<UsageError>([&] { check_source(find_source(text)); }).hint;
}

}  // namespace

TEST_CASE("files are told apart by what is in them") {
  const Zoo zoo;
  CHECK(look_at("image") == SourceFile::squashfs);
  CHECK(look_at("image.sif") == SourceFile::sif);
  CHECK(look_at("layout") == SourceFile::oci_layout);
  CHECK(look_at("empty") == SourceFile::directory);
  CHECK(look_at("script") == SourceFile::other);
  CHECK(look_at("x.tar.gz") == SourceFile::compressed);
  CHECK(look_at("oci.tar") == SourceFile::oci_archive);
  CHECK(look_at("docker.tar") == SourceFile::docker_archive);
  CHECK(look_at("both.tar") == SourceFile::docker_archive);
  CHECK(look_at("rootfs.tar") == SourceFile::other_tar);
  CHECK(look_at("cut.tar") == SourceFile::damaged_tar);
  CHECK(look_at("nothing") == SourceFile::missing);
  CHECK(look_at("/dev/null") == SourceFile::unreadable);
}

TEST_CASE("a squashfs file wins over a reference of its name, other files of an image's name don't") {
  const Zoo zoo;
  CHECK(std::get<SquashfsSource>(find_source("image")).path == "./image");
  for (const char* text : {"script", "empty", "nothing", "docker://image", "python:3.8"}) {
    CAPTURE(text);
    CHECK(std::holds_alternative<ImageReference>(find_source(text)));
  }
}

TEST_CASE("whatever is named wrongly, the hint is what to type") {
  const Zoo zoo;
  CHECK(hint_for("docker.tar") == "did you mean docker-archive:docker.tar? (docker://docker.tar is the registry's)");
  CHECK(hint_for("./docker.tar") == "did you mean docker-archive:./docker.tar?");
  CHECK(contains(hint_for("oci.tar"), "did you mean oci-archive:oci.tar?"));
  CHECK(contains(hint_for("layout"), "did you mean oci:layout?"));
  CHECK(contains(hint_for("./layout"), "did you mean oci:./layout?"));
  CHECK(contains(hint_for("x.tar.gz"), "docker-archive:x.tar.gz"));
  CHECK(contains(hint_for("image.sif"), "apptainer sif dump"));
  CHECK(contains(hint_for("rootfs.tar"), "docker save"));
  CHECK(contains(hint_for("./script"), ".sqsh"));
  CHECK(contains(hint_for("./empty"), ".sqsh"));
  CHECK(contains(hint_for("oci:docker.tar"), "did you mean docker-archive:docker.tar?"));
  CHECK(contains(hint_for("oci:oci.tar:tag"), "did you mean oci-archive:oci.tar?"));
  CHECK(contains(hint_for("oci-archive:layout"), "did you mean oci:layout?"));
  CHECK(contains(hint_for("oci-archive:docker.tar"), "did you mean docker-archive:docker.tar?"));
  CHECK(contains(hint_for("docker-archive:oci.tar"), "did you mean oci-archive:oci.tar?"));
  CHECK(contains(hint_for("docker-archive:image"), "write image alone"));
}

TEST_CASE("what is named rightly, or can't be told, is left to whoever reads it") {
  const Zoo zoo;
  for (const char* text : {"./image", "oci:layout", "oci-archive:oci.tar", "docker-archive:docker.tar", "oci:nothing",
                           "oci-archive:both.tar", "docker-archive:both.tar", "docker-archive:cut.tar",
                           "oci-archive:x.tar.gz", "docker-archive:script", "./nothing"}) {
    CAPTURE(text);
    CHECK_NOTHROW(check_source(parse_image_source(text)));
  }
}
