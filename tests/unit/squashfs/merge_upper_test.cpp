// merge_upper on real directories: what overlayfs leaves in an upper directory, and what a program may.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "base/process.hpp"
#include "sample_image.hpp"
#include "squashfs/block_format.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/merge.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

struct Overlay {
  TemporaryDirectory directory{};
  std::filesystem::path base = directory / "base.sqsh";
  std::filesystem::path upper = directory / "upper";

  Overlay() { std::filesystem::create_directories(upper); }

  void set(const char* name, const char* xattr, std::string_view value) const {
    REQUIRE(::setxattr((upper / name).c_str(), xattr, value.data(), value.size(), 0) == 0);
  }
  void remove(const char* name) const {
    REQUIRE_MESSAGE(::mknod((upper / name).c_str(), S_IFCHR, makedev(0, 0)) == 0, "a whiteout (Linux 5.8)");
  }

  std::filesystem::path merge(std::string_view name = "image.sqsh", unsigned threads = 2,
                              const LayerLimits& limits = {}, const UpperMask& mask = {}) const {
    const std::filesystem::path path = directory / name;
    const Fd output = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    merge_upper(base, {open_file(upper, O_RDONLY | O_DIRECTORY), upper, mask}, {{"/.mlctr/config.json", "{}"}},
                output.get(), {.threads = threads, .compression_level = 1, .limits = limits}, {}, nullptr);
    return path;
  }
};

// A SIF file with `squashfs` as its system partition; the places are those of squashfs/sif.hpp's structures.
std::string sif_around(std::string_view squashfs) {
  std::string file(8192, '#');
  const auto set = [&file](std::size_t at, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) file[at + i] = static_cast<char>(value >> (8 * i));
  };
  constexpr std::size_t k_descriptor = 128, k_extra = k_descriptor + 201;
  file.replace(32, 10, std::string_view("SIF_MAGIC\0", 10));
  set(88, 1, 8);
  set(96, k_descriptor, 8);
  set(k_descriptor, 0x4004, 4);
  set(k_descriptor + 4, 1, 1);
  set(k_descriptor + 17, file.size(), 8);
  set(k_descriptor + 25, squashfs.size(), 8);
  set(k_extra, 1, 4);
  set(k_extra + 4, 2, 4);
  return file + std::string(squashfs) + "behind it";
}

std::string merged_content(const std::filesystem::path& image, std::string_view path) {
  const Fd file = open_file(image, O_RDONLY);
  return read_small_file(Reader(file.get(), image), path, 64u << 20).value_or("nothing there");
}

}  // namespace

TEST_CASE("a changed file keeps the owner it has below, all else is root's") {
  Overlay overlay;
  SampleImage base(overlay.base);
  for (const char* path : {"kept/file", "kept/becomes-link"}) {
    Inode& inode = base.tree.inodes[base.add_file(path, "old")];
    inode.uid = 7;
    inode.gid = 8;
  }
  base.tree.inodes[find_in(base.tree, "kept")].uid = 9;
  base.finish();
  overlay.directory.write("upper/kept/file", "new");
  overlay.directory.write("upper/kept/other", "new");
  std::filesystem::create_symlink("file", overlay.upper / "kept/becomes-link");
  const auto image = overlay.merge();
  const Tree tree = tree_of(image);
  const auto owner = [&](std::string_view path) {
    const Inode& inode = tree.inodes[find_in(tree, path)];
    return fmt::format("{}:{}", inode.uid, inode.gid);
  };
  CHECK(owner("kept") == "9:0");
  CHECK(owner("kept/file") == "7:8");
  CHECK(owner("kept/other") == "0:0");
  CHECK(owner("kept/becomes-link") == "0:0");
  CHECK(merged_content(image, "/kept/file") == "new");
}

TEST_CASE("whiteouts and opaque directories hide what lies below, and no mark is left") {
  Overlay overlay;
  SampleImage base(overlay.base);
  for (const char* path : {"gone", "dir/hidden", "merged/seen", "merged/gone", "file"}) base.add_file(path, "below");
  base.finish();
  overlay.remove("gone");
  overlay.directory.write("upper/dir/new", "n");
  overlay.set("dir", "user.overlay.opaque", "y");
  overlay.set("dir", "user.note", "kept");
  overlay.directory.write("upper/merged/gone", "");
  overlay.set("merged", "user.overlay.opaque", "x");
  overlay.set("merged/gone", "user.overlay.whiteout", "y");
  overlay.directory.write("upper/file/in", "a directory now");
  const Tree tree = tree_of(overlay.merge());
  CHECK_FALSE(tree.directory(k_root).children.contains("gone"));
  CHECK(tree.directory(find_in(tree, "dir")).children.size() == 1);
  CHECK(tree.directory(find_in(tree, "merged")).children.size() == 1);
  find_in(tree, "merged/seen");
  find_in(tree, "file/in");
  CHECK(tree.xattr_sets[tree.inodes[find_in(tree, "dir")].xattrs] == XattrSet{{"user.note", "kept"}});
  CHECK(listing_of(tree).find("overlay") == std::string::npos);
}

TEST_CASE("holes, hard links and equal contents; any number of threads gives the same bytes") {
  Overlay overlay;
  SampleImage base(overlay.base);
  base.add_file("base", std::string(700'000, 'b'));
  base.finish();
  std::string noise(500'001, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * i >> 7 ^ i);
  for (const char* name : {"upper/a", "upper/same"}) overlay.directory.write(name, noise);
  std::filesystem::create_hard_link(overlay.upper / "a", overlay.upper / "link");
  overlay.directory.write("upper/sparse", "begin");
  std::filesystem::resize_file(overlay.upper / "sparse", 5'000'000);
  REQUIRE(::mkfifo((overlay.upper / "fifo").c_str(), 0600) == 0);
  const auto image = overlay.merge("one.sqsh", 1);
  CHECK(read_file(image) == read_file(overlay.merge("four.sqsh", 4)));
  const Tree tree = tree_of(image);
  CHECK(find_in(tree, "a") == find_in(tree, "link"));
  CHECK(std::get<FileContent>(tree.inodes[find_in(tree, "same")].kind).start ==
        std::get<FileContent>(tree.inodes[find_in(tree, "a")].kind).start);
  CHECK(std::get<FileContent>(tree.inodes[find_in(tree, "sparse")].kind).hole_bytes > 4'700'000);
  CHECK(merged_content(image, "/same") == noise);
  CHECK(merged_content(image, "/base") == std::string(700'000, 'b'));
  CHECK(merged_content(image, "/sparse") == "begin" + std::string(5'000'000 - 5, '\0'));
  for (const char* path : {"a", "base", "sparse", ".mlctr/config.json"}) {
    const auto extracted = run_process({.arguments = {"unsquashfs", "-cat", image.string(), path},
                                        .standard_input = {},
                                        .max_output_bytes = 64u << 20});
    CHECK(extracted.exit_code == 0);
    CHECK(extracted.standard_output == merged_content(image, fmt::format("/{}", path)));
  }
}

TEST_CASE("the image keeps the base's compressor, its options and its block size") {
  Overlay overlay;
  overlay.directory.write("root/text", std::string(3'000'000, 't') + "below");
  overlay.directory.write("upper/new", std::string(3'000'000, 'n') + "above");
  for (const std::vector<std::string>& options : {std::vector<std::string>{"gzip", "-b", "4K"},
                                                  {"xz", "-b", "1M"},
                                                  {"lz4", "-Xhc"},
                                                  {"lzo"},
                                                  {"zstd", "-b", "512K"}}) {
    CAPTURE(options[0]);
    std::vector<std::string> command{"mksquashfs",
                                     (overlay.directory / "root").string(),
                                     overlay.base.string(),
                                     "-quiet",
                                     "-no-progress",
                                     "-noappend",
                                     "-comp"};
    command.insert(command.end(), options.begin(), options.end());
    REQUIRE(run_process({.arguments = command, .standard_input = {}}).exit_code == 0);
    const auto image = overlay.merge();
    const Fd made = open_file(image, O_RDONLY);
    const Fd base = open_file(overlay.base, O_RDONLY);
    CHECK(block_format(Reader(made.get(), image)) == block_format(Reader(base.get(), overlay.base)));
    CHECK(merged_content(image, "/text").ends_with("tbelow"));
    CHECK(merged_content(image, "/new").ends_with("nabove"));
    const bool has_compressor = options[0] != "lzo";
    if (has_compressor) CHECK(std::filesystem::file_size(image) < 1'000'000);
    const auto extracted = run_process({.arguments = {"unsquashfs", "-cat", image.string(), "new"},
                                        .standard_input = {},
                                        .max_output_bytes = 64u << 20});
    CHECK(extracted.standard_output == merged_content(image, "/new"));
  }
}

TEST_CASE("the base may be part of a SIF file") {
  Overlay overlay;
  SampleImage base(overlay.base);
  base.add_file("below", std::string(900'000, 'b'));
  base.finish();
  overlay.directory.write("upper/above", "a");
  const std::string alone = read_file(overlay.merge("alone.sqsh"));
  overlay.directory.write("base.sqsh", sif_around(read_file(overlay.base)));
  CHECK(read_file(overlay.merge("image.sqsh")) == alone);
}

TEST_CASE("what can't be taken as it is gets refused by name") {
  Overlay overlay;
  SampleImage(overlay.base).finish();
  SUBCASE("renamed by reference") {
    overlay.directory.write("upper/sub/moved/in", "x");
    overlay.set("sub/moved", "user.overlay.redirect", "/elsewhere");
    CHECK(contains(thrown_by([&] { overlay.merge(); }).message, "upper/sub/moved was moved by reference"));
  }
  SUBCASE("without its data") {
    overlay.directory.write("upper/sub/meta", "");
    overlay.set("sub/meta", "user.overlay.metacopy", "");
    CHECK(contains(thrown_by([&] { overlay.merge(); }).message, "upper/sub/meta was moved by reference"));
  }
  SUBCASE("too large a hole") {
    overlay.directory.write("upper/huge", "");
    std::filesystem::resize_file(overlay.upper / "huge", 1'000'001);
    CHECK(contains(thrown_by([&] { overlay.merge("i", 1, {.max_uncompressed_bytes = 1'000'000}); }).hint,
                   "pull.max_layer_bytes"));
  }
  SUBCASE("too many files") {
    for (int i = 0; i < 4; ++i) overlay.directory.write(fmt::format("upper/{}", i), "");
    CHECK(contains(thrown_by([&] { overlay.merge("i", 1, {.max_entries = 3}); }).hint, "pull.max_layer_entries"));
  }
}

TEST_CASE("a mask leaves files out, gives others a content, and goes by paths, not names") {
  Overlay overlay;
  SampleImage base(overlay.base);
  base.add_file("etc/cache", "of the base");
  base.add_file("gone/inner", "of the base");
  base.add_file("gone.txt", "of the base");
  base.finish();
  for (const char* path : {"etc/cache", "etc/conf", "etc/own", "opt/conf", "written/file"}) {
    overlay.directory.write(fmt::format("upper/{}", path), "of the upper");
  }
  for (const char* path : {"etc/empty", "gone.txt", "opt/empty"}) {
    overlay.directory.write(fmt::format("upper/{}", path), "");
  }
  std::filesystem::create_directories(overlay.upper / "gone");
  overlay.set("gone", "user.overlay.opaque", "y");
  std::filesystem::create_directories(overlay.upper / "made/deep");
  const auto image = overlay.merge(
      "image.sqsh", 2, {},
      {.contents = {{"etc/own", "masked"}},
       .left_out = {"etc/cache", "etc/conf"},
       .left_out_if_empty = {"made", "made/deep", "written", "written/file", "etc/empty", "gone", "gone.txt"}});
  CHECK(merged_content(image, "/etc/cache") == "of the base");
  CHECK(merged_content(image, "/etc/conf") == "nothing there");
  CHECK(merged_content(image, "/etc/own") == "masked");
  CHECK(merged_content(image, "/etc/empty") == "nothing there");
  CHECK(merged_content(image, "/opt/conf") == "of the upper");
  CHECK(merged_content(image, "/opt/empty") == "");
  CHECK(merged_content(image, "/written/file") == "of the upper");
  const auto tree = tree_of(image);
  const auto& names = tree.directory(k_root).children;
  CHECK_FALSE(names.contains("made"));
  CHECK_FALSE(names.contains("gone"));  // a program had removed them before they were made anew
  CHECK_FALSE(names.contains("gone.txt"));
}
