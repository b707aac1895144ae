// write_tables, judged by unsquashfs and by what our reader finds of what it was given.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "base/process.hpp"
#include "sample_image.hpp"
#include "squashfs/reader.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

std::string unsquashfs(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "unsquashfs");
  const auto result = run_process({.arguments = arguments, .standard_input = {}, .max_output_bytes = 64u << 20});
  REQUIRE_MESSAGE(result.exit_code == 0, result.standard_error);
  return result.standard_output;
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

// Something of every kind, at every limit.
void fill(SampleImage& image) {
  Tree& tree = image.tree;
  tree.root().mtime = 1'700'000'000;
  image.add_file("empty", "");
  image.add_file("dir/small", "hello\n");
  image.add_file("large", std::string(300'000, 'x'));
  image.add_file("hole", std::string(3 * k_block_bytes, '\0') + "end");
  const InodeIndex linked = image.add_file("dir/linked", "linked");
  add_at(tree, "dir/deeper/other-name", linked);
  add_at(tree, "z-name", linked);
  add_at(tree, "dir/symlink", {.kind = Symlink{"../large"}, .permissions = 0777});
  add_at(tree, "dev/null", {.kind = Device{DeviceKind::character, 1, 3}, .permissions = 0666});
  add_at(tree, "dev/nvme", {.kind = Device{DeviceKind::block, 259, 70'000}, .permissions = 0660, .gid = 6});
  add_at(tree, "dev/fifo", {.kind = Fifo{}});
  add_at(tree, "dev/socket", {.kind = Socket{}});
  add_at(tree, "nobody",
         {.kind = Directory{}, .permissions = 01777, .uid = 65'534, .gid = 0xfffffffe, .mtime = 0xffffffff});
  add_at(tree, std::string(255, 'n'), {.kind = Fifo{}, .mtime = 1});
  add_at(tree, "not \xff utf-8\n", {.kind = Fifo{}, .mtime = 2});
  const std::uint32_t xattrs =
      tree.xattr_index({{"security.capability", std::string("\1\0\0\2\0", 5)}, {"user.a", "b"}});
  for (const char* name : {"x-file", "x-file-2"}) tree.inodes[image.add_file(name, "x")].xattrs = xattrs;
  add_at(tree, "x-dir", {.kind = Directory{}, .xattrs = tree.xattr_index({{"trusted.big", std::string(9000, 'v')}})});
  add_at(tree, "x-link", {.kind = Symlink{"x"}, .permissions = 0777, .xattrs = tree.xattr_index({{"user.l", ""}})});
  add_at(tree, "x-fifo", {.kind = Fifo{}, .xattrs = xattrs});
  add_at(tree, "x-null", {.kind = Device{DeviceKind::character, 1, 3}, .xattrs = xattrs});
}

}  // namespace

TEST_CASE("what is written reads back the same, metadata raw or compressed") {
  const TemporaryDirectory directory;
  for (const auto compression : {MetadataCompression::none, MetadataCompression::zstd}) {
    SampleImage image(directory / "image.sqsh");
    fill(image);
    const auto file = image.finish(compression);
    CHECK(listing_of(tree_of(file)) == listing_of(image.tree));
    CHECK(std::filesystem::file_size(file) % 4096 == 0);
  }
}

TEST_CASE("unsquashfs lists what was written, and extracts it") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  fill(image);
  const std::string file = image.finish().string();
  const std::string listing = unsquashfs({"-lln", file});
  CHECK(contains(listing, "-rw-r--r-- 0/0                  300000 1970-01-01 00:00 squashfs-root/large\n"));
  CHECK(contains(listing, "crw-rw-rw- 0/0                   1,  3 1970-01-01 00:00 squashfs-root/dev/null\n"));
  CHECK(contains(listing, "drwxrwxrwt 65534/4294967294          3 2106-02-07 06:28 squashfs-root/nobody\n"));
  CHECK(contains(listing, "squashfs-root/dir/symlink -> ../large\n"));
  CHECK(unsquashfs({"-cat", file, "dir/deeper/other-name"}) == "linked");
  CHECK(unsquashfs({"-cat", file, "hole"}) == std::string(3 * k_block_bytes, '\0') + "end");
  CHECK(contains(unsquashfs({"-s", file}), "Number of xattr ids 3\n"));
}

TEST_CASE("an empty tree is an image") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  const std::string file = image.finish().string();
  CHECK(count_lines(unsquashfs({"-lln", file})) == 1);
  CHECK(listing_of(tree_of(file)) == "/ directory 755 0:0 0\n");
}

TEST_CASE("a listing over a metadata block has an index that leads to every name") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  constexpr int k_files = 70'000;  // more than 64 KiB of listing: a wide directory inode too
  for (int i = 0; i < k_files; ++i) add_at(image.tree, fmt::format("many/file-{}", i), {.kind = Fifo{}});
  add_at(image.tree, "few/file", {.kind = Fifo{}});
  const std::filesystem::path path = image.finish();
  const Fd file = open_file(path, O_RDONLY);
  const Reader reader(file.get(), path);
  const StoredInode root = reader.root();
  const auto directory_named = [&](const char* name) {
    const auto entry = reader.find(std::get<StoredDirectory>(root.kind), name);
    REQUIRE(entry.has_value());
    return std::get<StoredDirectory>(reader.inode(entry->inode).kind);
  };
  CHECK(directory_named("few").index_count == 0);
  const StoredDirectory many = directory_named("many");
  CHECK(many.index_count == many.size_bytes / k_metadata_bytes);
  for (int i = 0; i < k_files; i += 97) CHECK(reader.find(many, fmt::format("file-{}", i)).has_value());
  for (const char* missing : {"a", "file-", "file-31x", "file-69999x", "z"}) CHECK(!reader.find(many, missing));
  CHECK(count_lines(unsquashfs({"-lln", path.string()})) == k_files + 4);
}

TEST_CASE("hard links across more than 32767 inodes need a run of their own") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  const InodeIndex early = add_at(image.tree, "a/early", {.kind = Fifo{}});
  for (int i = 0; i < 40'000; ++i) add_at(image.tree, fmt::format("b/{}", i), {.kind = Fifo{}});
  add_at(image.tree, "b/0-link", early);
  add_at(image.tree, "b/zz-link", early);
  const auto file = image.finish();
  CHECK(listing_of(tree_of(file)) == listing_of(image.tree));
  CHECK(contains(unsquashfs({"-lln", file.string()}), "squashfs-root/b/zz-link\n"));
}

TEST_CASE("very deep trees need no deep stack") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  InodeIndex at = k_root;
  for (int i = 0; i < 60'000; ++i) {
    const InodeIndex deeper = image.tree.add({.kind = Directory{}});
    image.tree.directory(at).children.emplace("d", deeper);
    at = deeper;
  }
  CHECK(tree_of(image.finish()).inodes.size() == 60'001);
}

TEST_CASE("layer marks survive the file") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "layer.sqsh");
  add_at(image.tree, "gone", {.kind = Whiteout{}, .permissions = 0});
  const std::uint32_t xattrs = image.tree.xattr_index({{"user.z", "z"}});
  const Directory marked{.children = {}, .origin = DirectoryOrigin::implied, .is_opaque = true};
  add_at(image.tree, "directory", {.kind = marked, .xattrs = xattrs});
  add_at(image.tree, "directory/link", {.kind = LowerLink{"etc/passwd"}});
  const auto file = image.finish();
  CHECK(listing_of(tree_of(file)) == listing_of(image.tree));
  CHECK(contains(unsquashfs({"-lln", file.string()}), "squashfs-root/gone"));
}

TEST_CASE("the same tree gives the same bytes") {
  const TemporaryDirectory directory;
  std::vector<std::string> contents;
  for (const char* name : {"a.sqsh", "b.sqsh"}) {
    SampleImage image(directory / name);
    fill(image);
    contents.push_back(read_file(image.finish()));
  }
  CHECK(contents[0] == contents[1]);
}

TEST_CASE("what squashfs can't hold is refused") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  const auto refusal = [&] { return thrown_by([&] { image.finish(); }).message; };
  SUBCASE("owners") {
    for (std::uint32_t i = 0; i < 65'536; ++i) add_at(image.tree, fmt::format("{}", i), {.kind = Fifo{}, .uid = i});
    CHECK(contains(refusal(), "65535 different owners"));
  }
  SUBCASE("a name") {
    add_at(image.tree, std::string(256, 'n'), {.kind = Fifo{}});
    CHECK(contains(refusal(), "names of 1 to 255 bytes"));
  }
  SUBCASE("a directory in two places") {
    add_at(image.tree, "b", add_at(image.tree, "a", {.kind = Directory{}}));
    CHECK(contains(refusal(), "two places"));
  }
  SUBCASE("blocks that don't cover a file") {
    add_at(image.tree, "f", {.kind = FileContent{.size_bytes = 200'000, .block_words = {1}}});
    CHECK(contains(refusal(), "can't have 1 blocks"));
  }
}
