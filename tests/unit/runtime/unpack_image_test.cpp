#include "runtime/unpack_image.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "../squashfs/sample_image.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;
using test::add_at;
using test::contains;
using test::SampleImage;
using test::thrown_by;

class Fixture {
  test::TemporaryDirectory directory_;

 public:
  SampleImage image{directory_ / "image.sqsh"};

  std::filesystem::path unpack() {
    const std::filesystem::path& path = image.finish();
    const Fd file = open_file(path, O_RDONLY);
    const Reader reader(file.get(), path);
    std::filesystem::create_directory(tree());
    unpack_image(reader, open_file(tree(), O_RDONLY | O_DIRECTORY), 3);
    return tree();
  }

  std::filesystem::path tree() const { return directory_ / "tree"; }

  static struct stat look(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE_MESSAGE(::lstat(path.c_str(), &status) == 0, path.string());
    return status;
  }
};

TEST_CASE_FIXTURE(Fixture, "Contents are those of the image, whatever their length") {
  const std::string block(k_block_bytes, 'b');
  const std::string with_hole = block + std::string(k_block_bytes, '\0') + "tail";
  image.add_file("empty", "");
  image.add_file("a/tail", "tail");
  image.add_file("a/block", block);
  image.add_file("a/hole", with_hole);
  const auto tree = unpack();
  CHECK(read_file(tree / "empty").empty());
  CHECK(read_file(tree / "a/tail") == "tail");
  CHECK(read_file(tree / "a/block") == block);
  CHECK(read_file(tree / "a/hole") == with_hole);
}

TEST_CASE_FIXTURE(Fixture, "Links, modes and times are kept, the rights of their owner are not") {
  const InodeIndex file = image.add_file("first", "x");
  image.tree.inodes[file].permissions = 04555;
  image.tree.inodes[file].mtime = 1'500'000'000;
  image.tree.inodes[file].uid = 0;
  add_at(image.tree, "b/second", file);
  add_at(image.tree, "link", {.kind = Symlink{"/etc/passwd"}, .mtime = 1'400'000'000});
  add_at(image.tree, "fifo", {.kind = Fifo{}, .permissions = 0620});
  const InodeIndex closed =
      add_at(image.tree, "closed", {.kind = Directory{}, .permissions = 0555, .mtime = 1'300'000'000});
  image.add_file("closed/inside", "y");
  REQUIRE(test::find_in(image.tree, "closed") == closed);
  const auto tree = unpack();
  CHECK(look(tree / "first").st_ino == look(tree / "b/second").st_ino);
  CHECK(look(tree / "first").st_mode == (S_IFREG | 0555));
  CHECK(look(tree / "first").st_mtime == 1'500'000'000);
  CHECK(look(tree / "first").st_uid == ::geteuid());
  CHECK(std::filesystem::read_symlink(tree / "link") == "/etc/passwd");
  CHECK(look(tree / "link").st_mtime == 1'400'000'000);
  CHECK(look(tree / "fifo").st_mode == (S_IFIFO | 0620));
  CHECK(look(tree / "closed").st_mode == (S_IFDIR | 0555));
  CHECK(look(tree / "closed").st_mtime == 1'300'000'000);
  CHECK(read_file(tree / "closed/inside") == "y");
  std::filesystem::permissions(tree / "closed", std::filesystem::perms::owner_all);  // or only root could remove it
}

TEST_CASE_FIXTURE(Fixture, "Devices are left out, with all their names") {
  const InodeIndex device =
      add_at(image.tree, "null", {.kind = Device{DeviceKind::character, 1, 3}, .permissions = 0666});
  add_at(image.tree, "dev/null", device);
  image.add_file("z", "z");
  const auto tree = unpack();
  CHECK_FALSE(std::filesystem::exists(tree / "null"));
  CHECK(std::filesystem::is_empty(tree / "dev"));
  CHECK(read_file(tree / "z") == "z");
}

TEST_CASE_FIXTURE(Fixture, "What is there already is never written to") {
  image.add_file("file", "x");
  std::filesystem::create_directory(tree());
  std::filesystem::create_symlink("elsewhere", tree() / "file");
  const auto error = thrown_by([&] { unpack(); });
  CHECK(contains(error.message, "cannot unpack"));
  CHECK_FALSE(std::filesystem::exists(tree() / "elsewhere"));
}

TEST_CASE_FIXTURE(Fixture, "Paths that could not be removed are not made") {
  std::string path(200, 'd');
  while (path.size() < 4000) path += "/" + std::string(200, 'd');
  image.add_file(path, "x");
  CHECK(contains(thrown_by([&] { unpack(); }).message, "nested too deeply"));
}

}  // namespace
}  // namespace mlctr::runtime
