#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <thread>
#include <vector>

#include "app/export_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "tests/unit/app/store_fixture.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;
namespace fs = std::filesystem;

namespace {

const std::string k_content = "not a squashfs, but bytes all the same\n";

struct Files {
  TemporaryDirectory directory;
  fs::path source = directory.path() / "source.sqsh";
  fs::path destination = directory.path() / "copy.sqsh";
  Files() { write_file_atomically(source, k_content); }

  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()));
  }
};

}  // namespace

TEST_CASE("a copy has the source's bytes and leaves nothing else") {
  Files files;
  CHECK(copy_squashfs(files.source, files.destination, Overwrite::refuse, {}) == k_content.size());
  CHECK(read_file(files.destination) == k_content);
  CHECK(files.count() == 2);
}

TEST_CASE("a file that is there is replaced only on demand") {
  Files files;
  write_file_atomically(files.destination, "mine");
  const Thrown refused =
      thrown_by<UsageError>([&] { copy_squashfs(files.source, files.destination, Overwrite::refuse, {}); });
  CHECK(contains(refused.hint, "--force"));
  CHECK(read_file(files.destination) == "mine");
  copy_squashfs(files.source, files.destination, Overwrite::replace, {});
  CHECK(read_file(files.destination) == k_content);
  CHECK(files.count() == 2);
}

TEST_CASE("of many that write one new file at the same moment one succeeds and none is overwritten") {
  for (int round = 0; round < 30; ++round) {
    Files files;
    std::atomic<int> written{0}, refused{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
          try {
            copy_squashfs(files.source, files.destination, Overwrite::refuse, {});
            ++written;
          } catch (const UsageError&) {
            ++refused;
          }
        });
      }
    }
    CHECK(written == 1);
    CHECK(refused == 3);
    CHECK(files.count() == 2);
  }
}

TEST_CASE("a file without a name is none") {
  CHECK(contains(thrown_by<UsageError>([] { check_destination("", Overwrite::replace); }).message, "is empty"));
}

TEST_CASE("an image goes to an open descriptor byte for byte") {
  Files files;
  const Fd to = open_file(files.destination, O_WRONLY | O_CREAT, 0600);
  CHECK(write_squashfs(files.source, to.get(), "the copy", {}) == k_content.size());
  CHECK(read_file(files.destination) == k_content);
}

TEST_CASE("a dangling symlink counts as a file that is there, and is not written through") {
  Files files;
  fs::create_symlink(files.directory.path() / "elsewhere", files.destination);
  CHECK_THROWS_AS(copy_squashfs(files.source, files.destination, Overwrite::refuse, {}), UsageError);
  copy_squashfs(files.source, files.destination, Overwrite::replace, {});
  CHECK_FALSE(fs::exists(files.directory.path() / "elsewhere"));
}

TEST_CASE("a directory is no destination, even by force") {
  Files files;
  const Thrown refused =
      thrown_by<UsageError>([&] { copy_squashfs(files.source, files.directory.path(), Overwrite::replace, {}); });
  CHECK(contains(refused.message, "directory"));
}

TEST_CASE("a stop leaves nothing behind") {
  Files files;
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(copy_squashfs(files.source, files.destination, Overwrite::refuse, stop.get_token()), Cancelled);
  CHECK(files.count() == 1);
}

TEST_CASE("an image that is not in the store can't be exported") {
  StoreFixture fixture;
  Files files;
  CHECK_THROWS_AS(export_image(fixture.configuration(), {"python:3.8", files.destination, Overwrite::refuse}, {}),
                  Error);
  CHECK(files.count() == 1);
}
