// read_tree on images that mksquashfs made, against the directory they were made from.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "base/process.hpp"
#include "sample_image.hpp"
#include "squashfs/reader.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

namespace fs = std::filesystem;

std::string text_of(std::size_t size, unsigned seed) {
  std::string text;
  while (text.size() < size)
    text += fmt::format("line {} of seed {}\n", (seed = seed * 1664525 + 1013904223) >> 9, seed);
  text.resize(size);
  return text;
}

void fill(const TemporaryDirectory& directory) {
  for (int i = 0; i < 600; ++i)
    directory.write(fmt::format("root/many/a-file-with-a-long-name-{}", i), fmt::format("{}", i));
  directory.write("root/empty", "");
  directory.write("root/tail", text_of(5000, 1));
  directory.write("root/blocks", text_of(1'200'000, 2));
  directory.write("root/hole", "x");
  fs::resize_file(directory / "root/hole", 5u << 20);
  fs::create_directories(directory / "root/deep/er/est");
  fs::create_symlink("../x", directory / "root/deep/link");
  fs::create_hard_link(directory / "root/blocks", directory / "root/deep/same");
  fs::permissions(directory / "root/tail", fs::perms(04751));
  REQUIRE(::mkfifo((directory / "root/fifo").c_str(), 0600) == 0);
}

std::string mksquashfs(const TemporaryDirectory& directory, std::vector<std::string> options) {
  const std::string image = (directory / "image.sqsh").string();
  fs::remove(image);
  std::vector<std::string> arguments{"mksquashfs", (directory / "root").string(), image, "-quiet", "-no-progress"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const auto result = run_process({.arguments = arguments, .standard_input = {}});
  REQUIRE_MESSAGE(result.exit_code == 0, result.standard_error);
  return image;
}

char kind_letter(const InodeKind& kind) {
  if (std::holds_alternative<Directory>(kind)) return 'd';
  if (std::holds_alternative<Symlink>(kind)) return 'l';
  if (std::holds_alternative<Fifo>(kind)) return 'p';
  return std::holds_alternative<FileContent>(kind) ? '-' : '?';
}

std::string line(std::string_view path, char kind, unsigned permissions, std::uint32_t uid, std::int64_t mtime,
                 std::string_view content) {
  return fmt::format("{} {} {:o} {} {} {}\n", path, kind, permissions, uid, mtime,
                     std::hash<std::string_view>()(content));
}

std::string list_directory(const fs::path& root) {
  std::map<std::string, std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat status {};
    REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
    const char kind = S_ISDIR(status.st_mode)    ? 'd'
                      : S_ISLNK(status.st_mode)  ? 'l'
                      : S_ISFIFO(status.st_mode) ? 'p'
                                                 : '-';
    const std::string content = kind == '-'   ? read_file(entry.path())
                                : kind == 'l' ? fs::read_symlink(entry).string()
                                              : "";
    const std::string path = entry.path().lexically_relative(root).string();
    lines[path] = line(path, kind, status.st_mode & 07777, status.st_uid, status.st_mtime, content);
  }
  std::string all;
  for (const auto& [path, text] : lines) all += text;
  return all;
}

class ImageLister {
 public:
  ImageLister(const Reader& reader, const Tree& tree) : reader_(reader), tree_(tree) {}

  std::string list() {
    list(k_root, "");
    std::string all;
    for (const auto& [path, text] : lines_) all += text;
    return all;
  }

 private:
  void list(InodeIndex directory, const std::string& prefix) {
    for (const auto& [name, child] : tree_.directory(directory).children) {
      const Inode& inode = tree_.inodes[child];
      const std::string path = prefix + name;
      lines_[path] =
          line(path, kind_letter(inode.kind), inode.permissions, inode.uid, inode.mtime, content(inode.kind));
      if (std::holds_alternative<Directory>(inode.kind)) list(child, path + "/");
    }
  }

  std::string content(const InodeKind& kind) const {
    if (const auto* link = std::get_if<Symlink>(&kind)) return link->target;
    const auto* file = std::get_if<FileContent>(&kind);
    if (file == nullptr) return "";
    std::string text(file->size_bytes, '\0');
    CHECK(reader_.read_file(*file, 0, std::as_writable_bytes(std::span(text))) == text.size());
    return text;
  }

  const Reader& reader_;
  const Tree& tree_;
  std::map<std::string, std::string> lines_;
};

std::string list_image(const std::string& image, std::uint64_t offset = 0) {
  const Fd file = open_file(image, O_RDONLY);
  const Reader reader(file.get(), image, offset);
  const Tree tree = read_tree(reader);
  return ImageLister(reader, tree).list();
}

}  // namespace

TEST_CASE("every compressor and layout of mksquashfs reads as the directory it was made from") {
  const TemporaryDirectory directory;
  fill(directory);
  const std::string expected = list_directory(directory / "root");
  const std::vector<std::vector<std::string>> layouts{
      {"-comp", "gzip"},
      {"-comp", "xz"},
      {"-comp", "xz", "-Xbcj", "x86"},
      {"-comp", "lzo"},
      {"-comp", "lzo", "-Xalgorithm", "lzo1x_1"},
      {"-comp", "lz4"},
      {"-comp", "lz4", "-Xhc"},
      {"-comp", "zstd"},
      {"-comp", "lzo", "-noD"},  // enroot's
      {"-noI", "-noId", "-noD", "-noF", "-noX"},
      {"-no-fragments"},
      {"-always-use-fragments", "-comp", "zstd"},
      {"-b", "1M", "-comp", "lzo"},
      {"-b", "4K", "-comp", "lz4"},
  };
  for (const auto& layout : layouts) {
    const std::string image = mksquashfs(directory, layout);
    CAPTURE(fmt::format("{}", fmt::join(layout, " ")));
    CHECK(list_image(image) == expected);
    const Tree tree = tree_of(image);
    CHECK(find_in(tree, "blocks") == find_in(tree, "deep/same"));
  }
}

TEST_CASE("an image may lie anywhere in a file") {
  const TemporaryDirectory directory;
  fill(directory);
  const std::string image = mksquashfs(directory, {});
  const std::string embedded = directory.write("image.sif", std::string(12345, '#') + read_file(image)).string();
  CHECK(list_image(embedded, 12345) == list_directory(directory / "root"));
  CHECK(contains(thrown_by([&] { tree_of(embedded, 12344); }).message, "it has no superblock"));
  CHECK(contains(thrown_by([&] { tree_of(embedded, 1u << 30); }).message, "should begin at 1073741824"));
}

TEST_CASE("a file reads in parts, from any place") {
  const TemporaryDirectory directory;
  const std::string text = text_of(300'001, 3);
  directory.write("root/file", text);
  const std::string image = mksquashfs(directory, {"-b", "64K"});
  const Fd file = open_file(image, O_RDONLY);
  const Reader reader(file.get(), image);
  const Tree tree = read_tree(reader);
  const auto& content = std::get<FileContent>(tree.inodes[find_in(tree, "file")].kind);
  for (const std::size_t at : {0, 1, 65'535, 65'536, 262'143, 262'144, 300'000, 300'001, 400'000}) {
    std::string part(70'000, '\0');
    part.resize(reader.read_file(content, at, std::as_writable_bytes(std::span(part))));
    CHECK(part == (at < text.size() ? text.substr(at, 70'000) : ""));
  }
}
