#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "app/inspect_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/merge.hpp"
#include "store/store.hpp"
#include "tests/unit/app/store_fixture.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const std::string k_diff_id = "sha256:" + std::string(64, 'd');
const std::string k_blob = "sha256:" + std::string(64, 'b');

const std::string k_config =
    nlohmann::json{{"architecture", "arm64"},
                   {"os", "linux"},
                   {"config", {{"Env", {"PATH=/bin"}}, {"Cmd", {"python3"}}, {"Labels", {{"a", "b"}}}}},
                   {"rootfs", {{"type", "layers"}, {"diff_ids", {k_diff_id}}}}}
        .dump();

const std::string k_manifest =
    nlohmann::json{
        {"schemaVersion", 2},
        {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
        {"config",
         {{"mediaType", "application/vnd.oci.image.config.v1+json"},
          {"digest", Digest::of(k_config).to_string()},
          {"size", k_config.size()}}},
        {"layers", {{{"mediaType", "application/vnd.oci.image.layer.v1.tar+gzip"}, {"digest", k_blob}, {"size", 123}}}}}
        .dump();

const std::string k_provenance =
    R"({"reference": "docker.io/library/python:3.8", "manifest_digest": "sha256:1", "mlctr_version": "9.9"})";

void write_image(int fd, const std::string& provenance) {
  squashfs::merge_layers({},
                         {{"/.mlctr/manifest.json", k_manifest},
                          {"/.mlctr/config.json", k_config},
                          {"/.mlctr/provenance.json", provenance}},
                         fd, {}, nullptr);
}

std::filesystem::path make_file(const TemporaryDirectory& directory, const std::string& provenance) {
  TemporaryFile file(directory.path() / "image.tmp");
  write_image(file.fd(), provenance);
  file.commit(directory.path() / "image.sqsh");
  return directory.path() / "image.sqsh";
}

}  // namespace

TEST_CASE("a lone file tells what it carries") {
  const TemporaryDirectory directory;
  StoreFixture fixture;
  const auto path = make_file(directory, k_provenance);
  const ImageInspection image = inspect_image(fixture.configuration(), path.string());
  CHECK(image.squashfs == path);
  CHECK(image.store.empty());
  CHECK(image.size_bytes == std::filesystem::file_size(path));
  CHECK(image.manifest_body == k_manifest);
  CHECK(image.manifest_digest == Digest::of(k_manifest));
  REQUIRE(image.config);
  CHECK(image.config->platform.to_string() == "linux/arm64");
  CHECK(image.config->command == std::vector<std::string>{"python3"});
  REQUIRE(image.layers.size() == 1);
  CHECK(image.layers[0].digest.to_string() == k_blob);
  CHECK(image.layers[0].blob_bytes == 123);
  CHECK(image.layers[0].diff_id->to_string() == k_diff_id);
  CHECK(image.layers[0].cached.empty());
  REQUIRE(image.provenance);
  CHECK(image.provenance->reference == "docker.io/library/python:3.8");
  CHECK(image.provenance->mlctr_version == "9.9");
}

TEST_CASE("an image of the store tells where it lies and when it was pulled") {
  StoreFixture fixture;
  const Configuration configuration = fixture.configuration();
  Store store(configuration.store, Store::Access::read_write);
  {
    Store::NewImage made = store.new_image(Digest::of(k_manifest));
    write_image(made.fd(), k_provenance);
    made.commit(k_manifest, k_config);
  }
  store.set_reference({"docker.io/library/python:3.8", Digest::of(k_manifest), 1'700'000'000});
  const ImageInspection image = inspect_image(configuration, "python:3.8");
  CHECK(image.reference == "docker.io/library/python:3.8");
  CHECK(image.store == configuration.store);
  CHECK(image.pulled_at == 1'700'000'000);
  CHECK(image.manifest_digest == Digest::of(k_manifest));
  CHECK(image.squashfs == store.find_image(Digest::of(k_manifest))->squashfs);
  CHECK(image.provenance);

  store.set_reference({"docker.io/library/python:3", Digest::of(k_manifest), 1'700'000'001});
  const ImageInspection by_digest = inspect_image(configuration, Digest::of(k_manifest).to_string());
  CHECK(by_digest.reference.empty());
  CHECK(by_digest.references == std::vector<std::string>{"docker.io/library/python:3", "docker.io/library/python:3.8"});
  CHECK(by_digest.pulled_at == 1'700'000'001);
  CHECK(inspect_image(configuration, "python:3.8").pulled_at == 1'700'000'000);
}

TEST_CASE("whatever stands in provenance.json, inspecting does not fail") {
  StoreFixture fixture;
  for (const char* body : {"", "{", "[]", "7", R"({"reference": 7})", R"({"mlctr_version": ["x"]})"}) {
    CAPTURE(body);
    const TemporaryDirectory directory;
    const ImageInspection image = inspect_image(fixture.configuration(), make_file(directory, body).string());
    CHECK((!image.provenance || image.provenance->reference.empty()));
    CHECK(image.config);
  }
}

TEST_CASE("a squashfs of another tool has no configuration, and that is no error") {
  const TemporaryDirectory directory;
  StoreFixture fixture;
  {
    TemporaryFile file(directory.path() / "tmp");
    squashfs::merge_layers({}, {{"/etc/rc", "exec true\n"}}, file.fd(), {}, nullptr);
    file.commit(directory.path() / "enroot.sqsh");
  }
  const ImageInspection image = inspect_image(fixture.configuration(), (directory.path() / "enroot.sqsh").string());
  CHECK_FALSE(image.manifest_digest);
  CHECK_FALSE(image.config);
  CHECK_FALSE(image.provenance);
  CHECK(image.layers.empty());
}

TEST_CASE("what is no image is told as such") {
  const TemporaryDirectory directory;
  StoreFixture fixture;
  write_file_atomically(directory.path() / "text.sqsh", "hello\n");
  const Thrown broken =
      thrown_by<Error>([&] { inspect_image(fixture.configuration(), (directory.path() / "text.sqsh").string()); });
  CHECK(contains(broken.message, "cannot inspect"));
  const Thrown missing = thrown_by<Error>([&] { inspect_image(fixture.configuration(), "python:3.8"); });
  CHECK(contains(missing.hint, "mlctr pull"));
}
