// merge_layers on real files: contents must survive the move, whatever is copied, shared or left behind.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "base/process.hpp"
#include "sample_image.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/merge.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

std::string bytes_of(std::size_t size, char seed) {
  std::string text(size, seed);
  for (std::size_t i = 0; i < size; i += 97) text[i] = static_cast<char>(i / 97 + static_cast<std::size_t>(seed));
  return text;
}

struct Merger {
  TemporaryDirectory directory{};
  std::vector<std::filesystem::path> layers{};
  std::vector<AddedFile> added{};

  SampleImage layer(std::string_view name) {
    layers.push_back(directory / name);
    return SampleImage(layers.back());
  }

  std::filesystem::path merge(std::string_view name = "image.sqsh", std::stop_token stop = {},
                              ProgressItem* progress = nullptr) const {
    const std::filesystem::path path = directory / name;
    const Fd output = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    merge_layers(layers, added, output.get(), std::move(stop), progress);
    return path;
  }
};

std::string content(const std::filesystem::path& image, std::string_view path) {
  const Fd file = open_file(image, O_RDONLY);
  const auto text = read_small_file(Reader(file.get(), image), path, 64u << 20);
  REQUIRE_MESSAGE(text.has_value(), "no ", std::string(path));
  return *text;
}

}  // namespace

TEST_CASE("files of all layers keep their content, by our reader and by unsquashfs") {
  Merger merger;
  auto base = merger.layer("base.sqsh");
  base.add_file("big", bytes_of(700'000, 'b'));
  base.add_file("gone", bytes_of(500'000, 'g'));
  base.add_file("tail", bytes_of(5000, 't'));
  base.add_file("hole", std::string(2 * k_block_bytes, '\0') + "end");
  base.finish();
  auto top = merger.layer("top.sqsh");
  top.add_file("new", bytes_of(300'000, 'n'));
  add_at(top.tree, "gone", {.kind = Whiteout{}});
  add_at(top.tree, "link", {.kind = LowerLink{"big"}});
  top.finish();
  merger.added = {{"/.mlctr/config.json", "{}"}, {"/.mlctr/long", bytes_of(400'000, 'l')}, {"/.mlctr/empty", ""}};
  const auto image = merger.merge();

  CHECK(content(image, "/big") == bytes_of(700'000, 'b'));
  CHECK(content(image, "/tail") == bytes_of(5000, 't'));
  CHECK(content(image, "/hole") == std::string(2 * k_block_bytes, '\0') + "end");
  CHECK(content(image, "/new") == bytes_of(300'000, 'n'));
  CHECK(content(image, "/.mlctr/config.json") == "{}");
  CHECK(content(image, "/.mlctr/long") == bytes_of(400'000, 'l'));
  CHECK(content(image, "/.mlctr/empty").empty());
  const Tree tree = tree_of(image);
  CHECK(find_in(tree, "big") == find_in(tree, "link"));
  CHECK_FALSE(tree.directory(k_root).children.contains("gone"));
  for (const char* path : {"big", "tail", "hole", "new", ".mlctr/long"}) {
    const auto extracted =
        run_process({.arguments = {"unsquashfs", "-cat", image.string(), path}, .standard_input = {}});
    REQUIRE(extracted.exit_code == 0);
    CHECK(extracted.standard_output == content(image, fmt::format("/{}", path)));
  }
}

TEST_CASE("what no file needs is left behind, and what is copied is counted") {
  Merger merger;
  auto base = merger.layer("base.sqsh");
  base.add_file("dead", bytes_of(20u << 20, 'd'));
  base.add_file("alive", bytes_of(2u << 20, 'a'));
  base.finish();
  auto top = merger.layer("top.sqsh");
  top.add_file("dead", "replaced");
  top.finish();
  ProgressItem progress("image", 0);
  const auto image = merger.merge("image.sqsh", {}, &progress);
  CHECK(content(image, "/alive") == bytes_of(2u << 20, 'a'));
  CHECK(content(image, "/dead") == "replaced");
  CHECK(std::filesystem::file_size(image) < (3u << 20));
  CHECK(progress.converted_bytes == (2u << 20) + 4096);
}

TEST_CASE("the same layers give the same bytes; one layer may come twice") {
  Merger merger;
  auto layer = merger.layer("layer.sqsh");
  for (int i = 0; i < 50; ++i) layer.add_file(fmt::format("d{}/file", i), bytes_of(10'000 + i, static_cast<char>(i)));
  layer.finish();
  merger.layers.push_back(merger.layers[0]);
  CHECK(read_file(merger.merge("a.sqsh")) == read_file(merger.merge("b.sqsh")));
  CHECK(content(merger.merge("c.sqsh"), "/d49/file") == bytes_of(10'049, 49));
}

TEST_CASE("no layers and only added files make an image") {
  Merger merger;
  merger.added = {{"/etc/x", "y"}};
  CHECK(listing_of(tree_of(merger.merge())) ==
        "/ directory 755 0:0 0\n/etc directory 755 0:0 0\n/etc/x file 1 644 0:0 0\n");
}

TEST_CASE("a stop ends the merge") {
  Merger merger;
  auto layer = merger.layer("layer.sqsh");
  layer.add_file("file", bytes_of(300'000, 'x'));
  layer.finish();
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(merger.merge("image.sqsh", stop.get_token()), Cancelled);
}

TEST_CASE("what is no layer file of ours is refused by name") {
  Merger merger;
  merger.directory.write("root/file", "x");
  const std::string foreign = (merger.directory / "foreign.sqsh").string();
  const auto made = run_process(
      {.arguments = {"mksquashfs", (merger.directory / "root").string(), foreign, "-quiet", "-no-progress", "-b", "1M"},
       .standard_input = {}});
  REQUIRE(made.exit_code == 0);
  merger.layers = {foreign};
  CHECK(contains(thrown_by([&] { merger.merge(); }).message, "foreign.sqsh: it is not a layer file of mlctr"));
  merger.layers = {merger.directory.write("cut.sqsh", read_file(foreign).substr(0, 200))};
  CHECK(contains(thrown_by([&] { merger.merge(); }).message, "cut.sqsh is not a whole squashfs image: "));
}

TEST_CASE("files laid into an image leave its directories as they are, and follow its links") {
  Merger merger;
  auto base = merger.layer("base.sqsh");
  base.add_file("real/kept", bytes_of(300'000, 'k'));
  add_at(base.tree, "etc", {.kind = Symlink{"/real"}});
  add_at(base.tree, "real/rc", {.kind = Symlink{"/../../outside"}});
  base.tree.inodes[find_in(base.tree, "real")].permissions = 0711;
  base.finish();
  const auto image = merger.directory / "laid.sqsh";
  {
    const Fd output = open_file(image, O_RDWR | O_CREAT | O_TRUNC);
    merge_files(merger.layers[0], {{"/etc/rc", "script"}, {"/etc/long", bytes_of(400'000, 'l')}, {"/new/file", ""}},
                {"/work/here"}, output.get(), {}, nullptr);
  }
  CHECK(content(image, "/real/rc") == "script");
  CHECK(content(image, "/real/long") == bytes_of(400'000, 'l'));
  CHECK(content(image, "/real/kept") == bytes_of(300'000, 'k'));
  CHECK(content(image, "/new/file").empty());
  const Tree tree = tree_of(image);
  CHECK(tree.inodes[find_in(tree, "real")].permissions == 0711);
  CHECK(std::holds_alternative<Symlink>(tree.inodes[find_in(tree, "etc")].kind));
  CHECK(std::holds_alternative<Directory>(tree.inodes[find_in(tree, "work/here")].kind));
}
