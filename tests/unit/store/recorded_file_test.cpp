#include "store/recorded_file.hpp"

#include <doctest/doctest.h>

#include "store/store.hpp"
#include "tests/unit/temporary_directory.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

namespace fs = std::filesystem;

const Digest k_first = Digest::of("first");

void record(Store& store, const fs::path& squashfs) {
  NewImage image = store.new_image(k_first);
  image.record_existing(squashfs);
  image.commit("{}", "{}");
}

}  // namespace

TEST_CASE("an existing .sqsh is recorded by its path and outlives the image") {
  const TemporaryDirectory directory;
  Store store(directory / "store", Store::Access::read_write);
  const fs::path file = directory.write("mine.sqsh", "mine");
  record(store, file);
  const std::optional<StoredImage> image = store.find_image(k_first);
  REQUIRE(image);
  CHECK(fs::read_symlink(image->squashfs) == file);

  SUBCASE("removing the image leaves the file") {
    store.remove_image(k_first);
    CHECK(read_file(file) == "mine");
  }
  SUBCASE("a file that went away makes room for its successor") {
    const fs::path moved = directory / "moved.sqsh";
    fs::rename(file, moved);
    CHECK_FALSE(store.find_image(k_first));
    CHECK(store.images().size() == 1);
    CHECK(store.recorded_file(k_first)->path == file);
    CHECK(store.recorded_file(k_first)->state == RecordedFile::State::away);
    record(store, moved);
    REQUIRE(store.find_image(k_first));
    CHECK(read_file(store.find_image(k_first)->squashfs) == "mine");
    CHECK(fs::is_empty(store.root() / "tmp"));
  }
}

TEST_CASE("a recorded .sqsh that changed is not the image any more, until it is recorded again") {
  const TemporaryDirectory directory;
  Store store(directory / "store", Store::Access::read_write);
  const fs::path file = directory.write("mine.sqsh", "mine");
  record(store, file);
  CHECK(store.recorded_file(k_first)->state == RecordedFile::State::unchanged);
  const fs::file_time_type before = fs::last_write_time(file);
  fs::last_write_time(file, before + std::chrono::nanoseconds(1));
  CHECK(store.recorded_file(k_first)->state == RecordedFile::State::changed);
  CHECK_FALSE(store.find_image(k_first));
  record(store, file);
  CHECK(store.find_image(k_first));
  fs::remove(file);
  fs::create_directory(file);
  CHECK_FALSE(store.find_image(k_first));

  const Digest own = Digest::of("an image with a file of its own");
  store.new_image(own).commit("{}", "{}");
  CHECK_FALSE(store.recorded_file(own));
  CHECK_FALSE(store.recorded_file(Digest::of("no image")));
}
