#include "app/find_image.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/app/store_fixture.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Digest k_found_a = Digest::from_hex(HashAlgorithm::sha256, "abcd1" + std::string(59, '0'));
const Digest k_found_b = Digest::from_hex(HashAlgorithm::sha256, "abcd2" + std::string(59, '0'));

}  // namespace

TEST_CASE("however a name is typed, it finds the same image") {
  StoreFixture fixture;
  fixture.add_image(k_found_a, {}, {"docker.io/library/python:3.8"});
  for (const char* text :
       {"python:3.8", "docker://python:3.8", "library/python:3.8", "index.docker.io/library/python:3.8",
        "me@python:3.8", "docker.io#python:3.8", "docker.io/library/python:3.8"}) {
    CAPTURE(text);
    const auto found = find_image(fixture.configuration(), text);
    REQUIRE(found);
    CHECK(found->image.manifest_digest == k_found_a);
    CHECK(found->record->reference == "docker.io/library/python:3.8");
  }
  CHECK_FALSE(find_image(fixture.configuration(), "python:3.9"));
  CHECK_FALSE(find_image(fixture.configuration(), "python"));
  CHECK_THROWS_AS(find_image(fixture.configuration(), "Python:3.8:x"), UsageError);
}

TEST_CASE("an image is found by its digest, whole or begun, or by a name with its digest") {
  StoreFixture fixture;
  fixture.add_image(k_found_a, {}, {});
  fixture.add_image(k_found_b, {}, {"r.io/abcd:latest"});
  const auto digest_of = [&](const std::string& text) {
    const auto found = find_image(fixture.configuration(), text);
    REQUIRE(found);
    CHECK_FALSE(found->record);
    return found->image.manifest_digest;
  };
  CHECK(digest_of(k_found_a.to_string()) == k_found_a);
  CHECK(digest_of(k_found_b.short_hex()) == k_found_b);
  CHECK(digest_of("abcd1") == k_found_a);
  CHECK(digest_of(k_found_b.hex()) == k_found_b);
  CHECK(digest_of("r.io/other@" + k_found_b.to_string()) == k_found_b);
  CHECK(digest_of("sha256:abcd1") == k_found_a);
  const Thrown ambiguous = thrown_by<UsageError>([&] { find_image(fixture.configuration(), "sha256:abcd"); });
  CHECK(contains(ambiguous.hint, "abcd10000000, abcd20000000 (r.io/abcd:latest)"));
  CHECK(thrown_by<UsageError>([&] { find_image(fixture.configuration(), "abcd"); }).hint == ambiguous.hint);
  CHECK_FALSE(find_image(fixture.configuration(), "sha512:abcd1"));
  CHECK_FALSE(find_image(fixture.configuration(), "abc"));
  CHECK_FALSE(find_image(fixture.configuration(), "abcd3"));
}

TEST_CASE("a digest that is none, or too little of one, says so") {
  StoreFixture fixture;
  const auto refusal = [&](const std::string& text) {
    return thrown_by([&] { require_image(fixture.configuration(), text); });
  };
  CHECK(contains(refusal("sha256:abc").message, "too short"));
  CHECK(contains(refusal("abc").hint, "4 digits or more"));
  CHECK(contains(refusal("sha256:abcg").message, "not a hex digit"));
  CHECK(contains(refusal("sha256:" + std::string(65, 'a')).message, "65 hex digits"));
  CHECK_FALSE(contains(refusal("sha256:abcd").hint, "mlctr pull"));  // a digest alone can't be pulled
}

TEST_CASE("a name that looks like a digest's start is a name first") {
  StoreFixture fixture;
  fixture.add_image(k_found_a, {}, {});
  fixture.add_image(k_found_b, {}, {"docker.io/library/abcd1:latest"});
  CHECK(find_image(fixture.configuration(), "abcd1")->image.manifest_digest == k_found_b);
}

TEST_CASE("paths are found from any directory") {
  StoreFixture fixture;
  fixture.add_image(k_found_a, {}, {(std::filesystem::current_path() / "my.sqsh").string()});
  CHECK(find_image(fixture.configuration(), "./my.sqsh"));
  CHECK(find_image(fixture.configuration(), "my.sqsh"));
  CHECK(find_image(fixture.configuration(), "./x/../my.sqsh"));
  CHECK(reference_key("oci:layout:v1") == "oci:" + (std::filesystem::current_path() / "layout").string() + ":v1");
  CHECK(reference_key(reference_key("oci:layout:v1")) == reference_key("oci:layout:v1"));
}

TEST_CASE("an image that is not there is an error with the command that gets it") {
  StoreFixture fixture;
  const Thrown thrown = thrown_by([&] { require_image(fixture.configuration(), "python:3.8"); });
  CHECK(contains(thrown.message, "no image python:3.8"));
  CHECK(contains(thrown.hint, "mlctr pull python:3.8"));
}
