#include "app/remove_image.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/app/store_fixture.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Digest k_removed_a = Digest::of("a"), k_layer = Digest::of("layer");

}  // namespace

TEST_CASE("the last name takes the image with it; layers stay for the next pull") {
  StoreFixture fixture;
  fixture.add_layer(k_layer, 1000);
  fixture.add_image(k_removed_a, {k_layer}, {"docker.io/library/a:1", "r.io/a:2"});
  const RemovedImage first = remove_image(fixture.configuration(), "a:1", {});
  CHECK(first.image == RemovedImage::Image::kept);
  CHECK(first.removed_references == std::vector<std::string>{"docker.io/library/a:1"});
  CHECK(first.remaining_references == std::vector<std::string>{"r.io/a:2"});
  CHECK(first.freed_bytes == 0);
  CHECK(fixture.store().find_image(k_removed_a));

  const RemovedImage last = remove_image(fixture.configuration(), "r.io/a:2", {});
  CHECK(last.image == RemovedImage::Image::removed);
  CHECK(last.freed_bytes >= 10'000);
  CHECK_FALSE(fixture.store().find_image(k_removed_a));
  CHECK(fixture.store().has_layer(k_layer));
  CHECK(fixture.store().references().empty());
}

TEST_CASE("by digest an image goes with its one name, but not with several") {
  StoreFixture fixture;
  fixture.add_image(k_removed_a, {}, {"r.io/a:1", "r.io/a:2"});
  const Thrown thrown = thrown_by([&] { remove_image(fixture.configuration(), k_removed_a.short_hex(), {}); });
  CHECK(contains(thrown.message, "r.io/a:1, r.io/a:2"));
  CHECK(fixture.store().references().size() == 2);
  fixture.store().remove_reference("r.io/a:1");
  CHECK(remove_image(fixture.configuration(), k_removed_a.to_string(), {}).removed_references.size() == 1);
  CHECK_FALSE(fixture.store().find_image(k_removed_a));
}

TEST_CASE("a name whose image is gone can be removed; what is not there can't") {
  StoreFixture fixture;
  fixture.store().set_reference({"r.io/gone:1", k_removed_a, 1});
  CHECK(remove_image(fixture.configuration(), "r.io/gone:1", {}).removed_references.size() == 1);
  for (const std::string& text :
       {std::string("r.io/gone:1"), k_removed_a.to_string(), k_removed_a.hex(), std::string("abcdef")}) {
    CAPTURE(text);
    CHECK(contains(thrown_by([&] { remove_image(fixture.configuration(), text, {}); }).hint, "mlctr images"));
  }
}

TEST_CASE("a recorded .sqsh that is away is forgotten by its path, and nothing of it stays") {
  StoreFixture fixture;
  const std::filesystem::path file = fixture.directory().write("mine.sqsh", "mine");
  NewImage image = fixture.store().new_image(k_removed_a);
  image.record_existing(file);
  image.commit("{}", "{}");
  fixture.store().set_reference({file.string(), k_removed_a, 1});
  std::filesystem::remove(file);
  const RemovedImage removed = remove_image(fixture.configuration(), file.string(), {});
  CHECK(removed.removed_references == std::vector{file.string()});
  CHECK(fixture.store().images().empty());
}

TEST_CASE("a recorded .sqsh is forgotten, not deleted") {
  StoreFixture fixture;
  const std::filesystem::path file = fixture.directory().write("mine.sqsh", "mine");
  NewImage image = fixture.store().new_image(k_removed_a);
  image.record_existing(file);
  image.commit("{}", "{}");
  fixture.store().set_reference({file.string(), k_removed_a, 1});
  CHECK(remove_image(fixture.configuration(), file.string(), {}).image == RemovedImage::Image::removed);
  CHECK(read_file(file) == "mine");
}

TEST_CASE("an extra store's image is not ours to remove") {
  StoreFixture fixture, lender;
  lender.add_image(k_removed_a, {}, {"r.io/a:1"});
  fixture.configuration().extra_stores = {lender.store().root()};
  CHECK_THROWS_AS(remove_image(fixture.configuration(), "r.io/a:1", {}), Error);
  CHECK_THROWS_AS(remove_image(fixture.configuration(), k_removed_a.to_string(), {}), Error);
  CHECK(lender.store().find_image(k_removed_a));
}
