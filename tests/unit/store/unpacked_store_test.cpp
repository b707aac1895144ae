#include "store/unpacked_store.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/store_names.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

namespace mlctr {
namespace {

const auto k_nobody_waits = [](const LockOwner&) { FAIL("nobody else has the lock"); };

void fill(const std::filesystem::path& tree) {
  write_file_atomically(tree / "file", "content");
}

struct Fixture {
  test::TemporaryDirectory directory;
  UnpackedStore store{directory.path()};

  UnpackedTree make() const { return store.find_or_make("key", fill, k_nobody_waits); }
  std::vector<std::string> names() const { return list_directory(directory / ".unpacked"); }
};

TEST_CASE_FIXTURE(Fixture, "A tree is made once") {
  const UnpackedTree first = make();
  CHECK(read_file(first.tree / "file") == "content");
  const auto refuse = [](const std::filesystem::path&) { FAIL("it is there"); };
  CHECK(store.find_or_make("key", refuse, k_nobody_waits).tree == first.tree);
  REQUIRE(store.find("key"));
  CHECK_FALSE(store.find("other"));
  CHECK(store.has("key"));
  CHECK_FALSE(store.has("other"));
}

TEST_CASE_FIXTURE(Fixture, "Nothing is left of a tree that failed, and the next try works") {
  const auto fail = [](const std::filesystem::path& tree) {
    fill(tree);
    throw Error("disk full");
  };
  CHECK(test::thrown_by([&] { (void)store.find_or_make("key", fail, k_nobody_waits); }).message == "disk full");
  CHECK(names() == std::vector<std::string>{"locks"});
  CHECK(read_file(make().tree / "file") == "content");
}

TEST_CASE_FIXTURE(Fixture, "A tree in use stays") {
  {
    const UnpackedTree used = make();
    CHECK_FALSE(store.remove("key"));
    CHECK(read_file(used.tree / "file") == "content");
  }
  REQUIRE(store.list().size() == 1);
  CHECK(store.list()[0].key == "key");
  CHECK(store.remove("key"));
  CHECK(store.list().empty());
  CHECK_FALSE(store.find("key"));
}

TEST_CASE_FIXTURE(Fixture, "A container's own tree goes with its last user") {
  {
    const UnpackedTree own = store.make_own(fill);
    store.remove_dead();
    CHECK(std::filesystem::exists(own.tree / "file"));
    CHECK(store.list().empty());
  }
  store.remove_dead();
  CHECK(names().empty());
}

TEST_CASE_FIXTURE(Fixture, "What is for good is not taken for dead") {
  (void)make();
  store.remove_dead();
  CHECK(store.find("key"));
}

}  // namespace
}  // namespace mlctr
