#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>
#include <string>

#include "app/saved_image_origin.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

// What `docker save` writes, of one layer, packed by GNU tar.
class SavedImage {
 public:
  explicit SavedImage(const std::string& layer_in_manifest, const std::string& layer_content = "a plain tar") {
    const std::string diff_id = Digest::of(layer_content).to_string();
    directory_.write("in/config.json", R"({"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers",)"
                                       R"("diff_ids":[")" +
                                           diff_id + R"("]}})");
    directory_.write("in/manifest.json",
                     R"([{"Config":"config.json","RepoTags":["a:1"],"Layers":[")" + layer_in_manifest + R"("]}])");
    directory_.write("in/l.tar", layer_content);
  }

  /// `prefix`: what stands before each member's name in the archive.
  std::unique_ptr<ImageOrigin> open(const std::string& prefix, std::stop_token stop = {}) const {
    const std::string archive = (directory_ / "saved.tar").string();
    const ProcessResult packed =
        run_process({.arguments = {"tar", "-cPf", archive, "-C", (directory_ / "in").string(), "--transform",
                                   "s,^," + prefix + ",", "manifest.json", "config.json", "l.tar"},
                     .standard_input = {}});
    REQUIRE(packed.exit_code == 0);
    auto files = open_tar(archive, {.scratch_directory = directory_.path(), .max_bytes = 1 << 20, .stop = {}});
    return make_docker_archive_origin(std::move(files), "", std::move(stop));
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("names with and without ./ or / are one, in the archive and in its manifest") {
  for (const std::string& prefix : {std::string(), std::string("./"), std::string("/")}) {
    for (const char* named : {"l.tar", "./l.tar", "/l.tar", ".//x/../l.tar"}) {
      CAPTURE(prefix);
      CAPTURE(named);
      CHECK(contains(SavedImage(named).open(prefix)->manifest({}, {}).body, Digest::of("a plain tar").to_string()));
    }
  }
}

TEST_CASE("a name that leads out of the archive leads nowhere") {
  for (const char* named : {"../l.tar", "x/../../l.tar", "..", ""}) {
    CAPTURE(named);
    CHECK(contains(thrown_by([&] { SavedImage(named).open(""); }).message, "is missing"));
  }
  CHECK(contains(thrown_by([] { SavedImage("../l.tar").open("../"); }).message, "has no manifest.json"));
}

TEST_CASE("a stop is heeded while compressed layers are hashed") {
  const SavedImage saved("l.tar", std::string("\x1f\x8b", 2) + std::string(100'000, 'x'));
  CHECK(contains(saved.open("")->manifest({}, {}).body, "tar+gzip"));
  std::stop_source source;
  source.request_stop();
  CHECK_THROWS_AS(saved.open("", source.get_token()), Cancelled);
}
