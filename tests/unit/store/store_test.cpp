#include "store/store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/error.hpp"
#include "tests/unit/store/child_process.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

namespace fs = std::filesystem;

const Digest k_first_image = Digest::of("first"), k_second = Digest::of("second");

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

void write_to(int fd, std::string_view text) {
  write_all(fd, std::as_bytes(std::span(text)), "test");
}

void add_layer(Store& store, const Digest& diff_id, std::string_view content) {
  TemporaryFile file = store.new_layer_file(diff_id);
  write_to(file.fd(), content);
  file.commit(store.layer_path(diff_id));
}

void add_image(Store& store, const Digest& digest, std::string_view content) {
  NewImage image = store.new_image(digest);
  write_to(image.fd(), content);
  image.commit("{\"manifest\":1}", "{\"config\":1}");
}

void set_age(const fs::path& path, std::time_t seconds_since_1970) {
  const timespec times[2] = {{seconds_since_1970, 0}, {seconds_since_1970, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

// A store in a directory of its own.
struct TestStore {
  TemporaryDirectory directory;
  Store store{directory / "store", Store::Access::read_write};
};

// Whether opening fails for an ordinary user with this in the message; his exit status carries it over.
bool is_refused_to_ordinary_user(const fs::path& root, std::string_view part) {
  return run_as_ordinary_user([&] {
           try {
             const Store store(root, Store::Access::read_write);
           } catch (const Error& error) {
             return contains(error.message(), part) && contains(error.hint(), "MLCTR_STORE") ? 0 : 2;
           }
           return 1;
         }) == 0;
}

}  // namespace

TEST_CASE("a layer is visible when it is committed, whole, and nothing is left in tmp") {
  TestStore test;
  Store& store = test.store;
  CHECK_FALSE(store.has_layer(k_first_image));
  {
    const TemporaryFile abandoned = store.new_layer_file(k_first_image);
    CHECK_FALSE(store.has_layer(k_first_image));
  }
  CHECK(is_empty(store.root() / "tmp"));
  add_layer(store, k_first_image, "layer");
  CHECK(store.has_layer(k_first_image));
  CHECK(read_file(store.layer_path(k_first_image)) == "layer");
  CHECK(store.layer_path(k_first_image) == store.root() / "layers/sha256" / (k_first_image.hex() + ".sqsh"));
  CHECK(is_empty(store.root() / "tmp"));
}

TEST_CASE("a new layer file replaces what a dead process left, and spoils no other layer's") {
  TestStore test;
  Store& store = test.store;
  test.directory.write("store/tmp/layer-sha256-" + k_first_image.hex() + "-00112233.sqsh", "dead");
  test.directory.write("store/tmp/layer-sha256-" + k_second.hex() + "-00112233.sqsh", "other");
  const fs::path partial = store.partial_blob_path(k_second, k_first_image);
  test.directory.write("store/tmp/" + partial.filename().string(), "resume me");
  const TemporaryFile file = store.new_layer_file(k_first_image);
  const std::vector<TemporaryEntry> entries = store.temporaries();
  CHECK(entries.size() == 3);
  CHECK(read_file(partial) == "resume me");
  CHECK(std::count_if(entries.begin(), entries.end(), [](const TemporaryEntry& entry) {
          return entry.kind == TemporaryEntry::Kind::layer && entry.digest == k_second;
        }) == 1);
}

TEST_CASE("two makers of one layer do not write into each other's file") {
  TestStore test;
  TemporaryFile sleeper = test.store.new_layer_file(k_first_image);
  write_to(sleeper.fd(), "slept through its lease");
  TemporaryFile winner = test.store.new_layer_file(k_first_image);
  write_to(winner.fd(), "won");
  winner.commit(test.store.layer_path(k_first_image));
  CHECK_THROWS_AS(sleeper.commit(test.store.layer_path(k_first_image)), SysError);
  CHECK(read_file(test.store.layer_path(k_first_image)) == "won");
}

TEST_CASE("layers come least recently used first, and a touch counts as a use") {
  TestStore test;
  Store& store = test.store;
  add_layer(store, k_first_image, "1");
  add_layer(store, k_second, "2");
  set_age(store.layer_path(k_first_image), 1'000'000);
  set_age(store.layer_path(k_second), 2'000'000);
  REQUIRE(store.layers().size() == 2);
  CHECK(store.layers()[0].diff_id == k_first_image);
  CHECK(store.touch_layer(k_first_image));
  CHECK(store.layers()[0].diff_id == k_second);
  CHECK_FALSE(store.touch_layer(Digest::of("absent")));
}

TEST_CASE("gc does not get a layer that was used after gc looked") {
  TestStore test;
  Store& store = test.store;
  add_layer(store, k_first_image, "1");
  set_age(store.layer_path(k_first_image), 1'000'000);
  const FileTime seen = store.layers()[0].last_used;
  store.touch_layer(k_first_image);
  CHECK_FALSE(store.remove_layer(k_first_image, seen));
  CHECK(read_file(store.layer_path(k_first_image)) == "1");
  CHECK(store.remove_layer(k_first_image, store.layers()[0].last_used));
  CHECK_FALSE(store.has_layer(k_first_image));
  CHECK_FALSE(store.remove_layer(k_first_image, seen));
  CHECK(is_empty(store.root() / "tmp"));
}

TEST_CASE("an image appears by its commit, with all its files, and never changes") {
  TestStore test;
  Store& store = test.store;
  {
    NewImage abandoned = store.new_image(k_first_image);
    write_to(abandoned.fd(), "half");
    CHECK_FALSE(store.find_image(k_first_image));
  }
  CHECK(is_empty(store.root() / "tmp"));
  NewImage slower = store.new_image(k_first_image);
  write_to(slower.fd(), "slower");
  add_image(store, k_first_image, "image");
  slower.commit("{}", "{}");

  const std::optional<StoredImage> image = store.find_image(k_first_image);
  REQUIRE(image);
  CHECK(read_file(image->squashfs) == "image");
  CHECK(read_file(image->manifest) == "{\"manifest\":1}");
  CHECK(read_file(image->config) == "{\"config\":1}");
  CHECK((mode_of(image->squashfs) & 0222) == 0);
  CHECK(image->squashfs.parent_path() == store.root() / "images/sha256" / k_first_image.hex());
  CHECK(store.images().size() == 1);
  CHECK(is_empty(store.root() / "tmp"));
  CHECK(store.remove_image(k_first_image));
  CHECK_FALSE(store.find_image(k_first_image));
  CHECK_FALSE(store.remove_image(k_first_image));
  CHECK(is_empty(store.root() / "tmp"));
}

TEST_CASE("a reference is found as it was set, replaced, and removed with its empty directories") {
  TestStore test;
  Store& store = test.store;
  const std::string name = "docker.io/library/python:3.8";
  CHECK_FALSE(store.find_reference(name));
  store.set_reference({name, k_first_image, 1'700'000'000});
  store.set_reference({"/data/x.sqsh", k_second, 5});
  store.set_reference({name, k_second, 1'700'000'001});
  const auto record = store.find_reference(name);
  REQUIRE(record);
  CHECK(record->reference == name);
  CHECK(record->manifest_digest == k_second);
  CHECK(record->pulled_at == 1'700'000'001);
  CHECK(store.references().size() == 2);
  CHECK(store.references()[0].reference == "/data/x.sqsh");
  CHECK(store.remove_reference(name));
  CHECK_FALSE(store.remove_reference(name));
  CHECK_FALSE(fs::exists(store.root() / "references/docker.io"));
  CHECK(store.references().size() == 1);
}

TEST_CASE("references are set and removed by many processes at once") {
  TestStore test;
  std::vector<ChildProcess> children;
  for (int i = 0; i < 4; ++i) {
    children.emplace_back([&, i] {
      const std::string name = "r.io/same/repository:tag" + std::to_string(i);
      for (int j = 0; j < 50; ++j) {
        test.store.set_reference({name, k_first_image, j});
        if (!test.store.remove_reference(name)) return 1;
      }
      return 0;
    });
  }
  for (ChildProcess& child : children) CHECK(child.wait() == 0);
  CHECK(is_empty(test.store.root() / "references"));
}

TEST_CASE("hostile input: broken reference files are named and hide nothing") {
  TestStore test;
  Store& store = test.store;
  store.set_reference({"r.io/good:1", k_first_image, 1});
  const std::string digest = k_first_image.to_string();
  test.directory.write("store/references/r.io/a/1.json", "{");
  test.directory.write("store/references/r.io/b/1.json", "[]");
  test.directory.write("store/references/r.io/c/1.json", std::string(100'000, '['));
  test.directory.write("store/references/r.io/d/1.json",
                       R"({"reference":"r.io/good:1","manifest_digest":")" + digest + R"(","pulled_at":1})");
  test.directory.write("store/references/r.io/e/1.json",
                       R"({"reference":"r.io/e:1","manifest_digest":"sha256:../../x","pulled_at":1})");
  test.directory.write("store/references/r.io/f/1.json",
                       R"({"reference":"r.io/f:1","manifest_digest":")" + digest + R"(","pulled_at":"now"})");
  test.directory.write("store/references/r.io/g/README", "not ours");
  const ReferenceListing listing = store.list_references();
  REQUIRE(listing.records.size() == 1);
  CHECK(listing.records[0].reference == "r.io/good:1");
  CHECK(listing.broken.size() == 6);
  for (const char* name : {"r.io/a:1", "r.io/c:1", "r.io/d:1", "r.io/e:1", "r.io/f:1"}) {
    CAPTURE(name);
    CHECK(contains(thrown_by([&] { store.find_reference(name); }).message, "references/r.io"));
  }
}

TEST_CASE("reading a store never creates or changes anything") {
  const TemporaryDirectory directory;
  const Store absent(directory / "none", Store::Access::read_only);
  CHECK(absent.images().empty());
  CHECK(absent.layers().empty());
  CHECK(absent.references().empty());
  CHECK(absent.temporaries().empty());
  CHECK_FALSE(absent.find_image(k_first_image));
  CHECK_FALSE(absent.find_reference("r.io/a:1"));
  CHECK_FALSE(fs::exists(directory / "none"));
}

TEST_CASE("a store below the user's data home is private; elsewhere the umask decides") {
  const TemporaryDirectory directory;
  ::setenv("XDG_DATA_HOME", (directory / "data").c_str(), 1);
  const mode_t before = ::umask(022);
  const Store home(directory / "data/mlctr", Store::Access::read_write);
  const Store scratch(directory / "scratch/mlctr", Store::Access::read_write);
  ::umask(before);
  ::unsetenv("XDG_DATA_HOME");
  CHECK(mode_of(home.root()) == 0700);
  CHECK(mode_of(scratch.root()) == 0755);
}

TEST_CASE("in a group's store everything stays the group's, whatever the umask") {
  const TemporaryDirectory directory;
  const fs::path root = directory / "shared";
  fs::create_directory(root);
  REQUIRE(::chmod(root.c_str(), 02775) == 0);
  const mode_t before = ::umask(077);
  Store store(root, Store::Access::read_write);
  add_layer(store, k_first_image, "1");
  add_image(store, k_first_image, "image");
  store.set_reference({"r.io/a:1", k_first_image, 1});
  { const Lock lock = store.lock_layer(k_first_image, {}, {}); }
  ::umask(before);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    CAPTURE(entry.path().string());
    const mode_t mode = mode_of(entry.path());
    CHECK((mode & 040) != 0);
    if (entry.is_directory()) CHECK((mode & 02030) == 02030);
  }
  CHECK((mode_of(root / "locks" / ("layer-sha256-" + k_first_image.hex() + ".lock")) & 020) != 0);
}

TEST_CASE("hostile input: a store that everyone may write to is refused") {
  const TemporaryDirectory directory;
  const fs::path root = directory / "store";
  fs::create_directory(root);
  REQUIRE(::chmod(root.c_str(), 01777) == 0);
  const Thrown thrown = thrown_by([&] { Store(root, Store::Access::read_only); });
  CHECK(contains(thrown.message, "everyone may write"));
  CHECK(contains(thrown.hint, "MLCTR_STORE"));
}

TEST_CASE("hostile input: a directory of the store that is a symlink is refused") {
  const TemporaryDirectory directory, elsewhere;
  fs::create_directory(directory / "store");
  fs::create_directory_symlink(elsewhere.path(), directory / "store/layers");
  CHECK_THROWS_AS(Store(directory / "store", Store::Access::read_write), Error);
  CHECK(is_empty(elsewhere.path()));
}

TEST_CASE("hostile input: symlinks in the place of layers and images are not followed") {
  TestStore test;
  const fs::path file = test.directory.write("file", "secret");
  fs::create_symlink(file, test.store.layer_path(k_first_image));
  CHECK_FALSE(test.store.has_layer(k_first_image));
  CHECK(test.store.layers().empty());
  const TemporaryDirectory elsewhere;
  for (const char* name : {"image.sqsh", "manifest.json", "config.json"}) elsewhere.write(name, "{}");
  fs::create_directory_symlink(elsewhere.path(), test.store.root() / "images/sha256" / k_first_image.hex());
  CHECK_FALSE(test.store.find_image(k_first_image));
}

TEST_CASE("someone else's store is read, not written, and the error says whose it is") {
  const TemporaryDirectory directory;
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  const mode_t before = ::umask(022);
  Store store(directory / "store", Store::Access::read_write);
  add_image(store, k_first_image, "image");
  ::umask(before);
  if (::geteuid() == 0) {
    CHECK(is_refused_to_ordinary_user(store.root(), "which belongs to root"));
    CHECK(is_refused_to_ordinary_user(directory / "new", "cannot create the store"));
    CHECK(run_as_ordinary_user([&] {
            return Store(directory / "store", Store::Access::read_only).find_image(k_first_image) ? 0 : 1;
          }) == 0);
  } else {
    MESSAGE("skipped: only root can be two users; run this as root");
  }
}

TEST_CASE("root does not write into an ordinary user's store, unless a group shares it") {
  const TemporaryDirectory directory;
  if (::geteuid() != 0) {
    MESSAGE("skipped: run this as root");
    return;
  }
  const fs::path root = directory / "store";
  fs::create_directory(root);
  REQUIRE(::chown(root.c_str(), 65534, 65534) == 0);
  const Thrown thrown = thrown_by([&] { Store(root, Store::Access::read_write); });
  CHECK(contains(thrown.message, "and you are root"));
  REQUIRE(::chmod(root.c_str(), 02775) == 0);
  CHECK_NOTHROW(Store(root, Store::Access::read_write));
}

TEST_CASE("temporaries tell what they are and whose lock guards them") {
  TestStore test;
  Store& store = test.store;
  const std::string hex = k_first_image.hex();
  test.directory.write("store/tmp/layer-sha256-" + hex + "-00.sqsh", "x");
  test.directory.write("store/tmp/image-sha256-" + hex + "-00/image.sqsh", "x");
  test.directory.write("store/tmp/removed-layer-sha256-" + hex + "-00", "x");
  test.directory.write("store/tmp/" + store.partial_blob_path(k_second, k_first_image).filename().string(), "x");
  test.directory.write("store/tmp/layer-sha256-short-00.sqsh", "x");
  test.directory.write("store/tmp/core", "x");
  using Kind = TemporaryEntry::Kind;
  std::vector<Kind> kinds;
  for (const TemporaryEntry& entry : store.temporaries()) {
    CHECK(entry.digest.has_value() == (entry.kind != Kind::other));
    if (entry.digest) CHECK(*entry.digest == k_first_image);
    CHECK(entry.allocated_bytes > 0);
    kinds.push_back(entry.kind);
    store.remove_temporary(entry);
  }
  CHECK(std::count(kinds.begin(), kinds.end(), Kind::layer) == 2);
  CHECK(std::count(kinds.begin(), kinds.end(), Kind::image) == 1);
  CHECK(std::count(kinds.begin(), kinds.end(), Kind::partial_blob) == 1);
  CHECK(std::count(kinds.begin(), kinds.end(), Kind::other) == 2);
  CHECK(is_empty(store.root() / "tmp"));
}

TEST_CASE("locks tell whether a pull runs, and idle ones leave no files") {
  TestStore test;
  Store& store = test.store;
  {
    const Lock layer = store.lock_layer(k_first_image, {}, {});
    CHECK_FALSE(store.is_pulling());
    const Lock image = store.lock_image(k_first_image, {}, {});
    CHECK(store.is_pulling());
    store.remove_idle_locks();
    CHECK(store.is_pulling());
    CHECK_FALSE(store.try_lock_layer(k_first_image));
  }
  CHECK_FALSE(store.is_pulling());
  store.remove_idle_locks();
  CHECK(is_empty(store.root() / "locks"));
}
