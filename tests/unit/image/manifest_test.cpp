#include "image/manifest.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "tests/unit/fixture.hpp"
#include "tests/unit/source_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::fixture;
using mlctr::test::Thrown;
using mlctr::test::thrown_by;

namespace {

constexpr std::string_view k_oci_manifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view k_oci_index = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view k_docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";

std::string fixture_body(const std::string& name) {
  return fixture("manifests/" + name);
}

Manifest image(std::string_view body, std::string_view content_type = {}) {
  return std::get<Manifest>(parse_manifest(body, content_type));
}

Index index(std::string_view body, std::string_view content_type = {}) {
  return std::get<Index>(parse_manifest(body, content_type));
}

Thrown refusal(std::string_view body, std::string_view content_type = {}) {
  return thrown_by([&] { parse_manifest(body, content_type); });
}

std::string digest_of(char c) {
  return "sha256:" + std::string(64, c);
}

std::string layer_json(std::string_view media_type, std::string_view more = {}) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":1{}}})", media_type, digest_of('b'), more);
}

std::string image_json(std::string_view layers) {
  return fmt::format(
      R"({{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"layers":[{}]}})",
      digest_of('c'), layers);
}

std::string entry_json(char digest, std::string_view more) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":1{}}})", k_oci_manifest, digest_of(digest), more);
}

std::string platform_json(std::string_view os, std::string_view architecture, std::string_view variant = {}) {
  return fmt::format(R"(,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}})", os, architecture, variant);
}

std::string index_json(std::string_view entries) {
  return fmt::format(R"({{"schemaVersion":2,"manifests":[{}]}})", entries);
}

char chosen(const Index& from, std::string_view platform) {
  return choose_platform(from, Platform::parse(platform)).descriptor.digest.hex().front();
}

}  // namespace

TEST_CASE("every fixture has its outcome") {
  enum class Outcome { image, index, refused };
  struct Expected {
    Outcome outcome;
    std::size_t count = 0;       // of layers or entries
    std::string_view part = {};  // of the message or of the layers' media type
  };
  const std::map<std::string, Expected> expectations{
      {"hub-index-with-attestations.json", {Outcome::index, 5}},
      {"non-json.manifest.json", {Outcome::refused, 0, "not valid JSON at line 1, column 1"}},
      {"ociv1.artifact.json",
       {Outcome::refused, 0, "an artifact of type application/vnd.oci.custom.artifact.config.v1+json"}},
      {"ociv1.encrypted.manifest.json", {Outcome::refused, 0, "$.layers[0].mediaType: the layer is encrypted"}},
      {"ociv1.everything.json",
       {Outcome::refused, 0, "$.config.mediaType: this is no container image but an artifact"}},
      {"ociv1.image.index.json", {Outcome::index, 2}},
      {"ociv1.invalid.mediatype.manifest.json",
       {Outcome::refused, 0, "$.layers[0].mediaType: layers of type application/vnd.oci.image.layer.v1.tar+unknown"}},
      {"ociv1.manifest.json", {Outcome::image, 3, "tar+gzip"}},
      {"ociv1.nondistributable.gzip.manifest.json", {Outcome::image, 1, "tar+gzip"}},
      {"ociv1.nondistributable.manifest.json", {Outcome::image, 1, "v1.tar"}},
      {"ociv1.nondistributable.zstd.manifest.json", {Outcome::image, 1, "tar+zstd"}},
      {"ociv1.uncompressed.manifest.json", {Outcome::image, 3, "v1.tar"}},
      {"ociv1.zstd.manifest.json", {Outcome::image, 3, "tar+zstd"}},
      {"ociv1nomime.artifact.json", {Outcome::refused, 0, "an artifact of type"}},
      {"ociv1nomime.image.index.json", {Outcome::index, 2}},
      {"ociv1nomime.manifest.json", {Outcome::image, 3, "tar+gzip"}},
      {"unknown-version.manifest.json",
       {Outcome::refused, 0, "$.schemaVersion: manifests of version 99999 are not supported"}},
      {"v2list.manifest.json", {Outcome::index, 5}},
      {"v2s1-invalid-signatures.manifest.json", {Outcome::refused, 0, "schema 1"}},
      {"v2s1-unsigned.manifest.json", {Outcome::refused, 0, "schema 1"}},
      {"v2s1.everything.json", {Outcome::refused, 0, "schema 1"}},
      {"v2s1.manifest.json", {Outcome::refused, 0, "schema 1"}},
      {"v2s2.everything.json", {Outcome::image, 1, "tar.gzip"}},
      {"v2s2.manifest.json", {Outcome::image, 3, "tar.gzip"}},
      {"v2s2.nondistributable.gzip.manifest.json", {Outcome::image, 1, "foreign.diff.tar.gzip"}},
      {"v2s2.nondistributable.manifest.json", {Outcome::image, 1, "foreign.diff.tar"}},
      {"v2s2.uncompressed.manifest.json", {Outcome::image, 3, "rootfs.diff.tar"}},
      {"v2s2nomime.manifest.json", {Outcome::image, 0}},
  };
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(source_directory() / "tests/fixtures/manifests")) {
    const std::string name = file.path().filename().string();
    CAPTURE(name);
    ++files;
    REQUIRE(expectations.contains(name));
    const Expected& expected = expectations.at(name);
    switch (expected.outcome) {
      case Outcome::refused: {
        const std::string message = refusal(fixture_body(name)).message;
        CAPTURE(message);
        CHECK(contains(message, expected.part));
        break;
      }
      case Outcome::index:
        CHECK(index(fixture_body(name)).entries.size() == expected.count);
        break;
      case Outcome::image: {
        const Manifest manifest = image(fixture_body(name));
        CHECK(manifest.layers.size() == expected.count);
        for (const Descriptor& layer : manifest.layers) CHECK(layer.media_type.ends_with(expected.part));
        break;
      }
    }
  }
  CHECK(files == expectations.size());
}

TEST_CASE("a manifest's descriptors are read as they stand") {
  const Manifest manifest = image(fixture_body("v2s2.manifest.json"));
  CHECK(manifest.media_type == k_docker_manifest);
  CHECK(manifest.config.digest.to_string() ==
        "sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7");
  CHECK(manifest.config.size_bytes == 7023);
  CHECK(manifest.layers[2].digest.to_string() ==
        "sha256:ec4b8955958665577945c89419d1af06b5f7636b4ac3da7f12184802ad867736");
  CHECK(manifest.layers[2].size_bytes == 73109);
}

TEST_CASE("attestations, other systems and artifacts are never chosen") {
  const Index hub = index(fixture_body("hub-index-with-attestations.json"));
  CHECK(chosen(hub, "amd64") == '1');
  CHECK(chosen(hub, "arm/v7") == '3');
  CHECK(chosen(hub, "arm64") == '4');
  CHECK(chosen(hub, "windows/amd64") == '5');
  const Thrown thrown = thrown_by([&] { chosen(hub, "s390x"); });
  CHECK(thrown.message ==
        "no image for linux/s390x: there is one for linux/amd64, linux/arm/v7, linux/arm64/v8, windows/amd64");
  CHECK(contains(thrown.hint, "--arch"));
  CHECK_THROWS_AS(choose_platform(hub, {"unknown", "unknown", "", ""}), Error);
}

TEST_CASE("an attestation is known by its annotation as well, an artifact by its type") {
  const std::string attestation =
      platform_json("linux", "amd64") + R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})";
  const std::string artifact = platform_json("linux", "amd64") + R"(,"artifactType":"application/x")";
  const Index entries = index(index_json(entry_json('1', attestation) + "," + entry_json('2', artifact) + "," +
                                         entry_json('3', platform_json("linux", "amd64"))));
  CHECK(chosen(entries, "amd64") == '3');
  const Index alone = index(index_json(entry_json('1', attestation)));
  CHECK(contains(thrown_by([&] { chosen(alone, "amd64"); }).message, "names no image at all"));
}

TEST_CASE("the best variant wins wherever it stands, the first of equals") {
  const std::string v2 = entry_json('2', platform_json("linux", "amd64", "v2"));
  const std::string v3 = entry_json('3', platform_json("linux", "amd64", "v3"));
  const std::string plain = entry_json('1', platform_json("linux", "amd64"));
  const std::string again = entry_json('4', platform_json("linux", "amd64"));
  for (const std::string& order :
       {v2 + "," + v3 + "," + plain + "," + again, plain + "," + again + "," + v3 + "," + v2}) {
    CHECK(chosen(index(index_json(order)), "amd64") == '1');
    CHECK(chosen(index(index_json(order)), "amd64/v2") == '2');
    CHECK(chosen(index(index_json(order)), "amd64/v4") == '3');
  }
  CHECK(
      contains(thrown_by([&] { chosen(index(index_json(v3)), "amd64"); }).message, "there is one for linux/amd64/v3"));
}

TEST_CASE("an entry without a platform is for whoever finds none for his own") {
  const std::string any = entry_json('1', "");
  CHECK(chosen(index(index_json(any)), "s390x") == '1');
  CHECK(chosen(index(index_json(any + "," + entry_json('2', platform_json("linux", "amd64")))), "amd64") == '2');
  CHECK(chosen(index(index_json(any + "," + entry_json('2', platform_json("linux", "amd64")))), "arm64") == '1');
}

TEST_CASE("an old list leads to the entry, whatever its format") {
  const Index list = index(fixture_body("v2list.manifest.json"));
  CHECK(choose_platform(list, Platform::parse("arm64")).descriptor.digest.short_hex() == "fb2fc0707b86");
  CHECK(choose_platform(list, Platform::parse("amd64")).descriptor.digest.short_hex() == "ae1b0e06e8ad");
}

TEST_CASE("entries of unknown types are passed over") {
  const std::string odd = fmt::format(R"({{"mediaType":"application/x","digest":"{}","size":1}})", digest_of('9'));
  CHECK(index(index_json(odd + "," + entry_json('1', ""))).entries.size() == 1);
}

TEST_CASE("foreign layers keep their web addresses, and only those") {
  const std::string urls =
      R"(,"urls":["https://a.example/x","file:///etc/passwd","ftp://b/","http://c.example/y","https://d/\u001b[2J"])";
  const Manifest foreign =
      image(image_json(layer_json("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls)));
  CHECK(foreign.layers[0].urls == std::vector<std::string>{"https://a.example/x", "http://c.example/y"});
  // Of any other layer a url is a trap (CVE-2020-15157).
  CHECK(image(image_json(layer_json("application/vnd.oci.image.layer.v1.tar+gzip", urls))).layers[0].urls.empty());
  CHECK(image(fixture_body("v2s2.everything.json")).layers[0].urls.empty());
}

TEST_CASE("what a document calls itself, what the registry calls it and its shape must agree") {
  const std::string both = image_json("").insert(1, "\"manifests\":[],");
  CHECK(contains(refusal(both).message, "an image and an index at once"));
  CHECK(contains(refusal(fixture_body("ociv1.manifest.json"), k_oci_index).message, "but the registry said"));
  CHECK(contains(refusal(fixture_body("ociv1.image.index.json"), k_docker_manifest).message, "but the registry said"));
  CHECK(contains(refusal(fixture_body("ociv1nomime.manifest.json"), k_oci_index).message, "$.manifests: missing"));
  CHECK(contains(refusal(fixture_body("ociv1nomime.image.index.json"), k_oci_manifest).message, "$.config: missing"));
  CHECK(image(fixture_body("ociv1nomime.manifest.json"), "application/vnd.oci.image.manifest.v1+json; charset=utf-8")
            .media_type == k_oci_manifest);
  CHECK(image(fixture_body("v2s2nomime.manifest.json")).media_type == k_docker_manifest);
  CHECK(image(fixture_body("ociv1nomime.manifest.json"), "application/json").media_type ==
        k_oci_manifest);  // says nothing
  CHECK(contains(refusal(R"({"schemaVersion":2,"mediaType":"application/x"})").message,
                 "manifests of type application/x"));
  CHECK(contains(refusal(R"({"schemaVersion":2})").message, "neither an image manifest nor an index"));
  CHECK(contains(refusal("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws").message, "schema 1"));
}

TEST_CASE("a wrong shape is named by its path") {
  const auto message = [](std::string_view body) { return refusal(body).message; };
  CHECK(message("[]") == "$: expected an object, found an array");
  CHECK(message("{}") == "$.schemaVersion: missing");
  CHECK(message(R"({"schemaVersion":"2"})") == "$.schemaVersion: expected a number, found a string");
  CHECK(message(image_json("7")) == "$.layers[0]: expected an object, found a number");
  CHECK(message(image_json("{}")) == "$.layers[0].mediaType: missing");
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  CHECK(message(image_json(R"({"mediaType":")" + type + R"(","digest":3,"size":1})")) ==
        "$.layers[0].digest: expected a string, found a number");
  CHECK(contains(message(image_json(R"({"mediaType":")" + type + R"(","digest":"sha256:../..","size":1})")),
                 "$.layers[0].digest: invalid digest"));
  CHECK(contains(message(image_json(layer_json(type, R"(,"size":-1)"))), "$.layers[0].size: expected a whole number"));
  CHECK(contains(message(image_json(layer_json(type, R"(,"size":18446744073709551615)"))),
                 "$.layers[0].size: 18446744073709551615 is more"));
  CHECK(contains(message(image_json(layer_json(type, R"(,"size":1e3)"))), "$.layers[0].size: expected a whole number"));
  CHECK(message(index_json(R"({"mediaType":")" + std::string(k_oci_manifest) + R"("})")) ==
        "$.manifests[0].digest: missing");
  CHECK(contains(message(index_json(entry_json('1', R"(,"platform":"linux")"))),
                 "$.manifests[0].platform: expected an object"));
}

TEST_CASE("too many and too much are refused") {
  std::string layers;
  for (int i = 0; i < 1001; ++i) layers += (i == 0 ? "" : ",") + layer_json("application/vnd.oci.image.layer.v1.tar");
  CHECK(contains(refusal(image_json(layers)).message, "$.layers: it has 1001 elements"));
  CHECK(contains(refusal(std::string(100'000'000, ' ')).message, "100000000 bytes, more than the 4194304 allowed"));
  CHECK(contains(refusal(image_json(std::string(1000, '['))).message, "nested deeper"));
}

TEST_CASE("a hostile manifest can't drive the terminal") {
  const Thrown thrown = refusal(image_json(layer_json("\\u001b[2Jx")));
  CHECK_FALSE(contains(thrown.message, "\x1b"));
  const Index evil = index(index_json(entry_json('1', platform_json("\\u001b[2J", "amd64"))));
  CHECK_FALSE(contains(thrown_by([&] { chosen(evil, "amd64"); }).message, "\x1b"));
}

TEST_CASE("a written manifest reads back as it was and is the same every time") {
  Manifest manifest = image(fixture_body("ociv1.manifest.json"));
  manifest.layers[0].media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
  manifest.layers[0].urls = {"https://a.example/x"};
  const std::string body = write_manifest(manifest);
  const Manifest again = image(body);
  CHECK(again.media_type == manifest.media_type);
  CHECK(again.config.digest == manifest.config.digest);
  CHECK(again.layers.size() == 3);
  CHECK(again.layers[0].urls == manifest.layers[0].urls);
  CHECK(again.layers[2].size_bytes == manifest.layers[2].size_bytes);
  CHECK(write_manifest(again) == body);
  CHECK(body.starts_with(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":)"));
}

TEST_CASE("manifests and indexes of both kinds are asked for, schema 1 is not") {
  const auto types = accepted_manifest_types();
  CHECK(types.size() == 4);
  for (const std::string& type : types) CHECK_FALSE(contains(type, "v1+prettyjws"));
}
