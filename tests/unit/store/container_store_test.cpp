#include "store/container_store.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

using namespace mlctr;
using test::TemporaryDirectory;

namespace {

struct Fixture {
  TemporaryDirectory directory;
  std::filesystem::path image = directory.write("images/image.sqsh", "hsqs…");
  ContainerStore store{directory / "containers"};

  std::optional<StoredContainer> create(const std::string& name) const {
    return store.create(
        {.name = name, .image = "docker.io/library/python:3.8", .manifest_digest = "sha256:12", .created_at = 17},
        image, R"({"config":{}})");
  }
};

ino_t inode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_ino;
}

}  // namespace

TEST_CASE("a container is what was created") {
  const Fixture fixture;
  REQUIRE(fixture.create("py38"));
  const auto found = fixture.store.find("py38");
  REQUIRE(found);
  CHECK(found->record.name == "py38");
  CHECK(found->record.image == "docker.io/library/python:3.8");
  CHECK(found->record.manifest_digest == "sha256:12");
  CHECK(found->record.created_at == 17);
  CHECK(read_file(found->config) == R"({"config":{}})");
  CHECK(inode_of(found->squashfs) == inode_of(fixture.image));  // no copy
  CHECK(std::filesystem::is_empty(found->upper));
  CHECK(std::filesystem::is_empty(found->work));
}

TEST_CASE("the root of a container has its mode whatever the umask") {
  const Fixture fixture;
  const mode_t before = ::umask(077);
  const auto made = fixture.create("c");
  ::umask(before);
  REQUIRE(made);
  CHECK(std::filesystem::status(made->upper).permissions() == std::filesystem::perms(0755));
}

TEST_CASE("a name is taken once") {
  const Fixture fixture;
  CHECK(fixture.create("c"));
  CHECK_FALSE(fixture.create("c"));
  CHECK(fixture.store.leftovers().empty());
  CHECK(std::distance(std::filesystem::directory_iterator(fixture.store.root()), {}) == 1);
}

TEST_CASE("names that could lead elsewhere are refused") {
  const Fixture fixture;
  for (const std::string& name :
       std::vector<std::string>{"", ".", "..", ".new-1", "a/b", "-x", "_x", "a b", "a\n", "é", std::string(65, 'x')}) {
    CAPTURE(name);
    CHECK_FALSE(is_container_name(name));
    CHECK_THROWS_AS(check_container_name(name), UsageError);
    CHECK_THROWS_AS(fixture.create(name), UsageError);
    CHECK_FALSE(fixture.store.has(name));
    CHECK_FALSE(fixture.store.set_aside(name));
  }
  for (const std::string& name : std::vector<std::string>{"a", "7", "py3.8_x-y", std::string(64, 'x')})
    CHECK(is_container_name(name));
}

TEST_CASE("a broken record hides no other container, and can be removed") {
  const Fixture fixture;
  fixture.create("good");
  fixture.create("bad");
  fixture.directory.write("containers/bad/container.json", "{}");
  const ContainerListing listing = fixture.store.list();
  REQUIRE(listing.containers.size() == 1);
  CHECK(listing.containers[0].record.name == "good");
  REQUIRE(listing.broken.size() == 1);
  CHECK(listing.broken[0].path == fixture.store.root() / "bad");
  CHECK(test::contains(test::thrown_by([&] { fixture.store.find("bad"); }).hint, "mlctr rm bad"));
  CHECK(fixture.store.has("bad"));
  const auto aside = fixture.store.set_aside("bad");
  REQUIRE(aside);
  fixture.store.remove_aside(*aside);
  CHECK(fixture.store.list().broken.empty());
}

TEST_CASE("what is set aside is gone at once, and removed with what nobody may read") {
  const Fixture fixture;
  const auto made = fixture.create("c");
  const auto closed = made->upper / "a" / "b";
  std::filesystem::create_directories(closed);
  fixture.directory.write("containers/c/upper/a/b/file", "x");
  std::filesystem::permissions(closed, std::filesystem::perms::none);
  std::filesystem::permissions(closed.parent_path(), std::filesystem::perms::none);
  const auto aside = fixture.store.set_aside("c");
  REQUIRE(aside);
  CHECK_FALSE(fixture.store.has("c"));
  CHECK_FALSE(fixture.store.set_aside("c"));
  CHECK(fixture.store.leftovers() == std::vector{*aside});  // as after a kill here
  fixture.store.remove_aside(*aside);
  CHECK(std::filesystem::is_empty(fixture.store.root()));
  fixture.store.remove_aside(*aside);  // another process removed it as well
}

TEST_CASE("half made containers are left alone while they may be in the making") {
  const Fixture fixture;
  fixture.create("c");
  const auto young = fixture.store.root() / ".new-1", old = fixture.store.root() / ".new-2";
  for (const auto& directory : {young, old}) std::filesystem::create_directory(directory);
  std::filesystem::last_write_time(old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  CHECK(fixture.store.leftovers() == std::vector{old});
}

TEST_CASE("who uses an image: by a link of their own, or by a symlink") {
  const Fixture fixture;
  fixture.create("linked");
  fixture.create("dependent");
  const auto link = fixture.store.root() / "dependent/image.sqsh";
  std::filesystem::remove(link);
  std::filesystem::create_symlink(std::filesystem::canonical(fixture.image), link);
  fixture.create("broken");
  fixture.directory.write("containers/broken/container.json", "{}");
  const auto other = fixture.directory.write("images/other.sqsh", "hsqs");

  const ImageUsers users = fixture.store.users_of(fixture.image);
  CHECK(users.linked == std::vector<std::string>{"broken", "linked"});
  CHECK(users.dependent == std::vector<std::string>{"dependent"});
  CHECK(fixture.store.users_of(other).linked.empty());
  CHECK(fixture.store.users_of(fixture.directory / "missing").dependent.empty());
}

TEST_CASE("a store that is not there yet is empty") {
  const TemporaryDirectory directory;
  const ContainerStore store(directory / "none");
  CHECK(store.list().containers.empty());
  CHECK(store.leftovers().empty());
  CHECK_FALSE(store.find("c"));
}
