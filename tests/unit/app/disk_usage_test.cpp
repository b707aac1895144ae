#include "app/disk_usage.hpp"

#include <doctest/doctest.h>

#include "tests/unit/app/store_fixture.hpp"

using namespace mlctr;
using mlctr::test::StoreFixture;

namespace {

const Digest k_used_a = Digest::of("a"), k_used_b = Digest::of("b");
const Digest k_shared = Digest::of("shared"), k_unique = Digest::of("unique"), k_unused = Digest::of("unused");
constexpr std::uint64_t k_mib = 1u << 20;

// Filesystems round up to blocks and may add some of their own.
bool is_about(std::uint64_t bytes, std::uint64_t expected) {
  return bytes >= expected && bytes < expected + k_mib / 2;
}

}  // namespace

TEST_CASE("every byte is counted once, and layers by who would miss them") {
  StoreFixture fixture;
  fixture.add_layer(k_shared, 4 * k_mib);
  fixture.add_layer(k_unique, 2 * k_mib);
  fixture.add_layer(k_unused, 1 * k_mib);
  fixture.add_image(k_used_a, {k_shared, k_unique, Digest::of("not cached")}, {"r.io/a:1", "r.io/a:2"});
  fixture.add_image(k_used_b, {k_shared}, {"r.io/b:1"});
  fixture.directory().write("store/tmp/" + fixture.store().partial_blob_path(k_used_a, k_used_b).filename().string(),
                            std::string(3 * k_mib, 'x'));
  fixture.directory().write("store/containers/c/upper/file", std::string(5 * k_mib, 'x'));

  const DiskUsage usage = disk_usage(fixture.configuration());
  CHECK(usage.broken.empty());
  CHECK(is_about(usage.layers_bytes, 7 * k_mib));
  CHECK(is_about(usage.unused_layers_bytes, 1 * k_mib));
  CHECK(usage.layers == 3);
  CHECK(is_about(usage.partial_bytes, 3 * k_mib));
  CHECK(is_about(usage.containers_bytes, 5 * k_mib));
  CHECK(is_about(usage.images_bytes, 20'000));
  CHECK(usage.total_bytes == usage.images_bytes + usage.layers_bytes + usage.partial_bytes + usage.containers_bytes);
  CHECK(usage.free_bytes > 0);
  REQUIRE(usage.images.size() == 2);
  for (const ImageUsage& image : usage.images) {
    const bool is_a = image.manifest_digest == k_used_a;
    CHECK(image.references.size() == (is_a ? 2 : 1));
    CHECK(is_about(image.shared_layer_bytes, 4 * k_mib));
    CHECK(is_about(image.unique_layer_bytes, is_a ? 2 * k_mib : 0));
  }
}

TEST_CASE("a file with several names is counted once, wherever in the store they are") {
  StoreFixture fixture;
  fixture.add_layer(k_shared, 4 * k_mib);
  fixture.add_layer(k_unique, 2 * k_mib);
  const auto link = [&](const std::filesystem::path& name) {
    std::filesystem::create_directories(name.parent_path());
    std::filesystem::create_hard_link(fixture.store().layer_path(k_shared), name);
  };
  for (const char* name : {"one", "two", "deep/three"}) link(fixture.store().root() / "containers/c/upper" / name);
  const DiskUsage usage = disk_usage(fixture.configuration());
  CHECK(is_about(usage.layers_bytes, 2 * k_mib));  // what is a container's or an image's is no cache
  CHECK(is_about(usage.containers_bytes, 4 * k_mib));
  CHECK(is_about(usage.total_bytes, 6 * k_mib));
}

TEST_CASE("a sparse partial download counts as what it holds; a broken config is reported") {
  StoreFixture fixture;
  const std::filesystem::path partial = fixture.directory().write(
      "store/tmp/" + fixture.store().partial_blob_path(k_used_a, k_used_b).filename().string(), "x");
  std::filesystem::resize_file(partial, 1ull << 30);
  fixture.add_image_with_config(k_used_a, "[");
  const DiskUsage usage = disk_usage(fixture.configuration());
  CHECK(usage.partial_bytes < k_mib);
  CHECK(usage.broken.size() == 1);
  CHECK(usage.images.size() == 1);
}
