#include "app/list_images.hpp"

#include <doctest/doctest.h>

#include "app/find_image.hpp"
#include "tests/unit/app/store_fixture.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Digest k_listed_a = Digest::of("a"), k_listed_b = Digest::of("b"), k_listed_c = Digest::of("c");

}  // namespace

TEST_CASE("images are listed by name, newest pull first, with what their config says; nameless ones last") {
  StoreFixture fixture;
  fixture.add_image(k_listed_a, {Digest::of("1"), Digest::of("2")}, {"docker.io/library/python:3.8", "r.io/team/py:1"});
  fixture.add_image(k_listed_b, {}, {});
  const ImageListing listing = list_images(fixture.configuration());
  CHECK(listing.broken.empty());
  REQUIRE(listing.images.size() == 3);
  const ListedImage& newest = listing.images[0];
  CHECK(newest.reference == "r.io/team/py:1");
  CHECK(newest.manifest_digest == k_listed_a);
  CHECK(newest.size_bytes == 10'000);
  CHECK(newest.created == "2024-05-06T07:08:09Z");
  CHECK(newest.platform.to_string() == "linux/amd64");
  CHECK(newest.layers == 2);
  CHECK(newest.store == fixture.store().root());
  CHECK(listing.images[1].familiar_reference == "python:3.8");
  CHECK(listing.images[1].pulled_at == 1'700'000'001);
  CHECK(listing.images[2].reference.empty());
  CHECK(listing.images[2].manifest_digest == k_listed_b);
}

TEST_CASE("extra stores are listed too; a name of the user's own wins") {
  StoreFixture fixture, lender;
  lender.add_image(k_listed_a, {}, {"r.io/a:1", "r.io/b:1"});
  fixture.configuration().extra_stores = {lender.store().root(), "/nonexistent/store"};
  fixture.add_image(k_listed_b, {}, {"r.io/a:1"});
  fixture.store().set_reference({"r.io/lent:1", k_listed_a, 1});
  const ImageListing listing = list_images(fixture.configuration());
  CHECK(listing.broken.empty());
  REQUIRE(listing.images.size() == 3);
  for (const ListedImage& image : listing.images) {
    const bool is_own = image.reference == "r.io/a:1";
    CHECK(image.manifest_digest == (is_own ? k_listed_b : k_listed_a));
    CHECK(image.store == (is_own ? fixture : lender).store().root());
  }
}

TEST_CASE("hostile input: what is broken is reported and hides nothing else") {
  StoreFixture fixture;
  fixture.add_image(k_listed_a, {}, {"r.io/good:1"});
  fixture.add_image_with_config(k_listed_b, "{\"rootfs\":5}");
  fixture.store().set_reference({"r.io/bad:1", k_listed_b, 1});
  fixture.store().set_reference({"r.io/gone:1", k_listed_c, 1});
  fixture.directory().write("store/references/r.io/x/1.json", "[[[");
  fixture.directory().write("store/images/sha256/" + k_listed_c.hex() + "/image.sqsh", "alone");
  fixture.directory().write("store/images/sha256/README", "not an image");
  const ImageListing listing = list_images(fixture.configuration());
  REQUIRE(listing.images.size() == 1);
  CHECK(listing.images[0].reference == "r.io/good:1");
  CHECK(listing.broken.size() == 4);
  for (const BrokenEntry& entry : listing.broken) CHECK_FALSE(entry.problem.empty());
}

TEST_CASE("a recorded file that is away or has changed is one line, with what to type") {
  StoreFixture fixture;
  const std::filesystem::path file = fixture.directory().write("mine.sqsh", "mine");
  NewImage image = fixture.store().new_image(k_listed_a);
  image.record_existing(file);
  image.commit("{}", R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
  fixture.store().set_reference({file.string(), k_listed_a, 1});
  CHECK(list_images(fixture.configuration()).images.size() == 1);

  const auto only_line = [&] {
    const ImageListing listing = list_images(fixture.configuration());
    CHECK(listing.images.empty());
    REQUIRE(listing.broken.size() == 1);
    CHECK(listing.broken[0].path == file);
    CHECK(contains(listing.broken[0].problem, "`mlctr pull " + file.string() + "` records it again"));
    return listing.broken[0].problem;
  };
  const auto refused = [&](const std::string& text) {
    return thrown_by([&] { require_image(fixture.configuration(), text); });
  };
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  CHECK(contains(only_line(), "has changed since"));
  CHECK(contains(refused(file.string()).message, "has changed since"));
  std::filesystem::remove(file);
  CHECK(contains(only_line(), "is not there"));
  fixture.store().remove_reference(file.string());
  CHECK(list_images(fixture.configuration()).broken.empty());  // gc takes it
  fixture.store().set_reference({file.string(), k_listed_a, 1});
  for (const std::string& text : {file.string(), k_listed_a.to_string(), k_listed_a.hex().substr(0, 12)}) {
    CAPTURE(text);
    CHECK(contains(refused(text).message, "the recorded file " + file.string() + " is not there"));
    CHECK(contains(refused(text).hint, "mlctr rmi " + file.string()));
  }
  CHECK(contains(refused("r.io/other:1").message, "no image r.io/other:1"));
}

TEST_CASE("no store yet: nothing is listed and nothing created") {
  const TemporaryDirectory directory;
  Configuration configuration;
  configuration.store = directory / "none";
  CHECK(list_images(configuration).images.empty());
  CHECK_FALSE(std::filesystem::exists(directory / "none"));
}
