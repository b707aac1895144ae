// Images in pieces: whatever lies where, they read as the same image in one file does.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <random>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "base/process.hpp"
#include "sample_image.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/image_file.hpp"
#include "squashfs/merge.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t k_large = 5u << 20, k_small = 300'000;

std::string bytes_of(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random() >> 8);
  return text;
}

// A base, of which "gone" is removed again, a small layer and a large one.
struct Layers {
  TemporaryDirectory directory{};
  std::vector<fs::path> files{};
  const std::string base = std::string(64, 'b'), top = std::string(64, 'a');

  Layers() {
    add(base, [](SampleImage& layer) {
      layer.add_file("big", bytes_of(k_large, 1));
      layer.add_file("gone", bytes_of(k_large, 2));
      layer.add_file("behind", bytes_of(k_large, 3));
    });
    add(std::string(64, 'c'), [](SampleImage& layer) { layer.add_file("small", bytes_of(k_small, 4)); });
    add(top, [](SampleImage& layer) {
      layer.add_file("top", bytes_of(k_large, 5));
      add_at(layer.tree, "gone", {.kind = Whiteout{}});
    });
  }

  template <class Fill>
  void add(const std::string& digits, Fill fill) {
    files.push_back(directory / (digits + ".sqsh"));
    SampleImage layer(files.back());
    fill(layer);
    layer.finish();
  }

  fs::path merge(const std::string& name, const std::vector<fs::path>& layers, bool in_pieces) const {
    fs::create_directory(directory / name);
    const fs::path path = directory / name / "image.sqsh";
    const Fd output = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    merge_layers(layers, {{"/.mlctr/config.json", "{}"}}, output.get(), {}, nullptr,
                 in_pieces ? path.parent_path() : fs::path());
    return path;
  }
};

std::string all_of(const fs::path& path) {
  const Fd file = open_file(path, O_RDONLY);
  const ImageFile image(file.get(), path, 0);
  std::string bytes(image.size(), '\0');
  image.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::uint64_t allocated(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_CASE("an image in pieces has the bytes of the whole one, and copies only its small layers") {
  const Layers layers;
  const fs::path whole = layers.merge("whole", layers.files, false),
                 pieces = layers.merge("pieces", layers.files, true);
  CHECK(all_of(pieces) == read_file(whole));
  CHECK(allocated(whole) > 3 * k_large);
  CHECK(allocated(pieces) < k_small + 100'000);
  for (const std::string& digits : {layers.base, layers.top}) {
    CHECK(fs::equivalent(pieces.parent_path() / (digits + ".layer"), layers.directory / (digits + ".sqsh")));
  }
  CHECK(std::distance(fs::directory_iterator(pieces.parent_path()), fs::directory_iterator()) == 3);
  const auto foreign = run_process({.arguments = {"unsquashfs", "-s", pieces.string()}, .standard_input = {}});
  CHECK(foreign.exit_code != 0);  // rather than holes for data
}

TEST_CASE("an image in pieces is read in parts of any size, across their borders") {
  const Layers layers;
  const fs::path path = layers.merge("pieces", layers.files, true);
  const std::string whole = read_file(layers.merge("whole", layers.files, false));
  const Fd file = open_file(path, O_RDONLY);
  const ImageFile image(file.get(), path, 0);
  REQUIRE(image.size() == whole.size());
  std::minstd_rand random(1);
  for (int i = 0; i < 300; ++i) {
    const std::size_t at = random() % whole.size(),
                      size = random() % std::min<std::size_t>(whole.size() - at, 9u << 20);
    std::string part(size, '\0');
    image.read(at, std::as_writable_bytes(std::span(part)));
    REQUIRE(part == whole.substr(at, size));
  }
  std::string behind(10, '\0');
  CHECK_THROWS_AS(image.read(whole.size() - 5, std::as_writable_bytes(std::span(behind))), Error);
}

TEST_CASE("images are merged from one in pieces, and have its pieces") {
  const Layers layers;
  const fs::path first = layers.merge("first", {layers.files[0], layers.files[1]}, true);
  const fs::path second = layers.merge("second", {first, layers.files[2]}, true);
  CHECK(fs::exists(second.parent_path() / (layers.base + ".layer")));
  CHECK(allocated(second) < k_small + 100'000);
  CHECK(all_of(second) == read_file(layers.merge("whole", {first, layers.files[2]}, false)));
  const Fd file = open_file(second, O_RDONLY);
  const Reader reader(file.get(), second);
  CHECK(read_small_file(reader, "/behind", 64u << 20) == bytes_of(k_large, 3));
  CHECK(read_small_file(reader, "/small", 64u << 20) == bytes_of(k_small, 4));
  CHECK(read_small_file(reader, "/top", 64u << 20) == bytes_of(k_large, 5));
  CHECK_FALSE(read_small_file(reader, "/gone", 64u << 20));
}

TEST_CASE("a layer's own name may go; a piece that is gone is named") {
  const Layers layers;
  const fs::path path = layers.merge("pieces", layers.files, true);
  const std::string before = all_of(path);
  for (const fs::path& layer : layers.files) fs::remove(layer);
  CHECK(all_of(path) == before);
  fs::create_symlink(path, layers.directory / "link.sqsh");
  CHECK(all_of(layers.directory / "link.sqsh") == before);
  fs::remove(path.parent_path() / (layers.top + ".layer"));
  const Thrown thrown = thrown_by([&] { all_of(path); });
  CHECK(contains(thrown.message, layers.top + ".layer"));
  CHECK(contains(thrown.hint, "pull the image again"));
}

TEST_CASE("a piece that is cut off is seen before anything is read") {
  const Layers layers;
  const fs::path path = layers.merge("pieces", layers.files, true);
  fs::resize_file(layers.files[2], k_large / 2);
  const Fd file = open_file(path, O_RDONLY);
  const Thrown thrown = thrown_by([&] { const ImageFile image(file.get(), path, 0); });
  CHECK(contains(thrown.message, "too short is the " + layers.top + ".layer beside it"));
}

TEST_CASE("layers that others may read than the image are copied") {
  const Layers layers;
  fs::permissions(layers.files[0], fs::perms::owner_read);
  const fs::path path = layers.merge("pieces", layers.files, true);
  CHECK_FALSE(fs::exists(path.parent_path() / (layers.base + ".layer")));
  CHECK(fs::exists(path.parent_path() / (layers.top + ".layer")));
  CHECK(all_of(path) == read_file(layers.merge("whole", layers.files, false)));
}

TEST_CASE("a broken list of pieces is refused, whatever is wrong with it") {
  const Layers layers;
  const fs::path path = layers.merge("pieces", layers.files, true);
  const std::string good = read_file(path);
  const std::size_t list = good.size() - 400;
  std::size_t refused = 0;
  for (std::size_t at = list; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x81);
    write_file_atomically(path, bad);
    try {
      all_of(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 250);  // a segment may well begin elsewhere in its piece
  for (const std::size_t size : {good.size() - 1, good.size() - 40, std::size_t{4096}, std::size_t{4}}) {
    write_file_atomically(path, good.substr(0, size));
    CHECK_THROWS_AS(all_of(path), Error);
  }
}
