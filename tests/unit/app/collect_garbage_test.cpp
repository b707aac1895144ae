#include "app/collect_garbage.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.hpp"
#include "tests/unit/app/store_fixture.hpp"

using namespace mlctr;
using mlctr::test::StoreFixture;

namespace {

using std::chrono::hours;

const Digest k_a = Digest::of("a"), k_b = Digest::of("b"), k_c = Digest::of("c");
constexpr std::size_t k_size = 1u << 20;

GarbageReport collect(StoreFixture& fixture, GarbageRequest request = {}) {
  return collect_garbage(fixture.configuration(), request, {});
}

std::size_t count(const GarbageReport& report, RemovedEntry::Kind kind) {
  return static_cast<std::size_t>(std::count_if(report.removed.begin(), report.removed.end(),
                                                [&](const RemovedEntry& entry) { return entry.kind == kind; }));
}

std::size_t files_below(const std::filesystem::path& directory) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) files += entry.is_regular_file();
  return files;
}

}  // namespace

TEST_CASE("the least recently used layers go until the rest fits") {
  StoreFixture fixture;
  fixture.add_layer(k_a, k_size, hours(10));
  fixture.add_layer(k_b, k_size, hours(30));
  fixture.add_layer(k_c, k_size, hours(20));
  fixture.configuration().layer_cache_bytes = 3 * k_size / 2;
  const GarbageReport report = collect(fixture);
  REQUIRE(report.removed.size() == 2);
  CHECK(report.removed[0].name == k_b.to_string());
  CHECK(report.removed[1].name == k_c.to_string());
  CHECK(report.freed_bytes >= 2 * k_size);
  CHECK(report.layers_bytes >= k_size);
  CHECK(report.layers_bytes < 3 * k_size / 2);
  CHECK(fixture.store().has_layer(k_a));
  CHECK(fixture.store().layers().size() == 1);
}

TEST_CASE("a request's limit wins over the setting, and reporting changes nothing") {
  StoreFixture fixture;
  fixture.add_layer(k_a, k_size);
  CHECK(collect(fixture).removed.empty());
  const std::size_t files = files_below(fixture.store().root());
  const GarbageReport report = collect(fixture, {.effect = GarbageRequest::Effect::report, .max_layer_bytes = 0});
  CHECK(report.removed.size() == 1);
  CHECK(report.layers_bytes == 0);
  CHECK(fixture.store().has_layer(k_a));
  CHECK(files_below(fixture.store().root()) >= files);
  CHECK(collect(fixture, {.max_layer_bytes = 0}).removed.size() == 1);
  CHECK_FALSE(fixture.store().has_layer(k_a));
}

TEST_CASE("a layer that is being pulled stays") {
  StoreFixture fixture;
  fixture.add_layer(k_a, k_size);
  const Lock lock = fixture.store().lock_layer(k_a, {}, {});
  const GarbageReport report = collect(fixture, {.max_layer_bytes = 0});
  CHECK(report.removed.empty());
  CHECK(report.in_use == 1);
  CHECK(fixture.store().has_layer(k_a));
}

TEST_CASE("while an image is being made, layers used lately stay and old ones go") {
  StoreFixture fixture;
  fixture.add_layer(k_a, k_size, hours(1));
  fixture.add_layer(k_b, k_size, hours(48));
  {
    const Lock lock = fixture.store().lock_image(k_c, {}, {});
    const GarbageReport report = collect(fixture, {.max_layer_bytes = 0});
    CHECK(report.in_use == 1);
    CHECK(fixture.store().has_layer(k_a));
    CHECK_FALSE(fixture.store().has_layer(k_b));
  }
  CHECK(collect(fixture, {.max_layer_bytes = 0}).removed.size() == 1);
}

TEST_CASE("images go only when no name leads to them, and not while they are being made") {
  StoreFixture fixture;
  fixture.add_image(k_a, {}, {"r.io/a:1"});
  fixture.add_image(k_b, {}, {});
  {
    const Lock lock = fixture.store().lock_image(k_b, {}, {});
    CHECK(collect(fixture).in_use == 1);
    CHECK(fixture.store().find_image(k_b));
  }
  const GarbageReport report = collect(fixture);
  REQUIRE(report.removed.size() == 1);
  CHECK(report.removed[0].kind == RemovedEntry::Kind::image);
  CHECK(report.removed[0].name == k_b.to_string());
  CHECK(report.removed[0].bytes >= 10'000);
  CHECK(fixture.store().find_image(k_a));
}

TEST_CASE("a name that can't be read may be any image's: all images stay") {
  StoreFixture fixture;
  fixture.add_image(k_a, {}, {});
  fixture.directory().write("store/references/r.io/a/1.json", "{");
  const GarbageReport report = collect(fixture);
  CHECK(report.broken.size() == 1);
  CHECK(fixture.store().find_image(k_a));
}

TEST_CASE("names go when their image is in no store, the extra ones included") {
  StoreFixture fixture, lender;
  lender.add_image(k_a, {}, {});
  fixture.configuration().extra_stores = {lender.store().root()};
  fixture.store().set_reference({"r.io/lent:1", k_a, 1});
  fixture.store().set_reference({"r.io/gone:1", k_b, 1});
  const GarbageReport report = collect(fixture);
  REQUIRE(report.removed.size() == 1);
  CHECK(report.removed[0].name == "r.io/gone:1");
  CHECK(fixture.store().find_reference("r.io/lent:1"));
}

TEST_CASE("what killed pulls left goes at once, cut downloads after a week or when their layer is there") {
  StoreFixture fixture;
  const auto write = [&](const std::filesystem::path& name, hours age) {
    StoreFixture::set_age(fixture.directory().write("store/tmp/" + name.filename().string(), "x"), age);
  };
  const Digest blob = Digest::of("blob");
  write("layer-sha256-" + k_a.hex() + "-0011.sqsh", hours(0));
  write("image-sha256-" + k_a.hex() + "-0011", hours(0));
  write(fixture.store().partial_blob_path(blob, k_a), hours(24 * 6));
  write(fixture.store().partial_blob_path(blob, k_b), hours(24 * 8));
  write(fixture.store().partial_blob_path(blob, k_c), hours(0));
  write("reference-0011", hours(0));
  write("reference-0022", hours(25));
  fixture.add_layer(k_c, 1);
  const GarbageReport report = collect(fixture);
  CHECK(count(report, RemovedEntry::Kind::temporary) == 3);
  CHECK(count(report, RemovedEntry::Kind::partial_download) == 2);
  CHECK(std::filesystem::exists(fixture.store().partial_blob_path(blob, k_a)));
  CHECK(files_below(fixture.store().root() / "tmp") == 2);
}

TEST_CASE("temporaries of a running pull stay") {
  StoreFixture fixture;
  const Lock layer = fixture.store().lock_layer(k_a, {}, {});
  const TemporaryFile file = fixture.store().new_layer_file(k_a);
  const Lock image = fixture.store().lock_image(k_b, {}, {});
  const NewImage new_image = fixture.store().new_image(k_b);
  const GarbageReport report = collect(fixture);
  CHECK(report.removed.empty());
  CHECK(report.in_use == 2);
  CHECK(std::filesystem::exists(file.path()));
  CHECK(std::filesystem::exists(new_image.path()));
}

TEST_CASE("locks that nobody holds leave no files") {
  StoreFixture fixture;
  { const Lock lock = fixture.store().lock_layer(k_a, {}, {}); }
  const Lock held = fixture.store().lock_layer(k_b, {}, {});
  collect(fixture);
  CHECK(files_below(fixture.store().root() / "locks") == 1);
}

TEST_CASE("a stop ends the collection") {
  StoreFixture fixture;
  fixture.add_layer(k_a, k_size);
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(collect_garbage(fixture.configuration(), {.max_layer_bytes = 0}, stop.get_token()), Cancelled);
  CHECK(fixture.store().has_layer(k_a));
}
