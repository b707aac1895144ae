#include "squashfs/pack_layer.hpp"

#include <doctest/doctest.h>

#include <string>

#include "squashfs/layer_path.hpp"
#include "squashfs/tables.hpp"
#include "tests/unit/squashfs/layer_conversion.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

constexpr std::size_t k_block = k_block_bytes;

struct Packed {
  PackedLayer layer;
  std::string file;

  const FileContent& at(std::string_view path) const {
    InodeIndex inode = k_root;
    for (const std::string_view name : parse_layer_path(path)) {
      inode = layer.tree.directory(inode).children.find(name)->second;
    }
    return std::get<FileContent>(layer.tree.inodes[inode].kind);
  }
};

Packed pack(const std::string& tar, const LayerLimits& limits = {}) {
  CompressorPool pool(3, 1);
  const mlctr::Fd output = memory_file();
  bool is_given = false;
  const auto source = [&]() -> std::span<const std::byte> {
    return std::exchange(is_given, true) ? std::span<const std::byte>() : std::as_bytes(std::span(tar));
  };
  PackedLayer layer = pack_layer(source, output.get(), pool, limits, {});
  return {std::move(layer), content_of(output.get())};
}

std::string pack_error(const std::string& tar) {
  return thrown_by<LayerError>([&] { pack(tar); }).message;
}

}  // namespace

TEST_CASE("small files share fragment blocks, larger ones have blocks with a short last one") {
  const Packed packed = pack(TarBuilder()
                                 .add({.name = "empty"})
                                 .add({.name = "small", .content = "x"})
                                 .add({.name = "limit", .content = some_bytes(k_block - 1, 1)})
                                 .add({.name = "block", .content = some_bytes(k_block, 2)})
                                 .add({.name = "large", .content = some_bytes(2 * k_block + 5, 3)})
                                 .finish());
  CHECK(packed.at("empty").size_bytes == 0);
  CHECK(packed.at("empty").fragment == k_no_fragment);
  CHECK(packed.at("small").fragment == 0);
  CHECK(packed.at("limit").fragment == 0);
  CHECK(packed.at("limit").fragment_offset == 1);
  CHECK(packed.at("block").block_words.size() == 1);
  CHECK(packed.at("block").fragment == k_no_fragment);
  CHECK(packed.at("large").block_words.size() == 3);
  CHECK(packed.layer.tree.fragments.size() == 1);
  CHECK(packed.at("block").start == k_data_start);
  CHECK(packed.layer.data_end <= packed.file.size());
}

TEST_CASE("contents that don't shrink are stored raw") {
  std::string noise(k_block, '\0');
  std::uint64_t state = 1;
  for (char& byte : noise)
    byte = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  const Packed packed = pack(TarBuilder().add({.name = "noise", .content = noise}).finish());
  CHECK(packed.at("noise").block_words == std::vector<std::uint32_t>{k_block_bytes | k_raw_block});
  CHECK(packed.file.substr(k_data_start, k_block) == noise);
}

TEST_CASE("equal contents are stored once") {
  const std::string large = some_bytes(3 * k_block, 1);
  const std::string other = some_bytes(3 * k_block, 2);
  const Packed once = pack(TarBuilder()
                               .add({.name = "a", .content = large})
                               .add({.name = "b", .content = other})
                               .add({.name = "s", .content = "small"})
                               .finish());
  const Packed twice = pack(TarBuilder()
                                .add({.name = "a", .content = large})
                                .add({.name = "a2", .content = large})
                                .add({.name = "b", .content = other})
                                .add({.name = "s", .content = "small"})
                                .add({.name = "a3", .content = large})
                                .add({.name = "s2", .content = "small"})
                                .finish());
  CHECK(twice.layer.data_end == once.layer.data_end);
  CHECK(twice.file.substr(0, twice.layer.data_end) == once.file.substr(0, once.layer.data_end));
  for (const char* copy : {"a2", "a3"}) {
    CHECK(twice.at(copy).start == twice.at("a").start);
    CHECK(twice.at(copy).block_words == twice.at("a").block_words);
  }
  CHECK(twice.at("s2").fragment_offset == twice.at("s").fragment_offset);
  CHECK(twice.at("b").start == once.at("b").start);
}

TEST_CASE("a copy of a small file does not end the open fragment block") {
  const std::string most = some_bytes(k_block - 100, 1);
  TarBuilder tar;
  tar.add({.name = "a", .content = most}).add({.name = "b", .content = most}).add({.name = "c", .content = "fits"});
  const Packed packed = pack(tar.add({.name = "d", .content = some_bytes(200, 2)}).finish());
  CHECK(packed.at("c").fragment == 0);
  CHECK(packed.at("d").fragment == 1);
  CHECK(packed.at("d").fragment_offset == 0);
}

TEST_CASE("zeros are holes, whether the tar spells them out or not") {
  const std::string content = std::string(2 * k_block, '\0') + some_bytes(k_block, 1) + std::string(k_block + 7, '\0');
  const std::string data = content.substr(2 * k_block, k_block);
  const std::string map = std::to_string(2 * k_block) + "," + std::to_string(k_block);
  const Packed packed = pack(
      TarBuilder()
          .add({.name = "dense", .content = content})
          .pax({"GNU.sparse.numblocks=1", "GNU.sparse.map=" + map, "GNU.sparse.size=" + std::to_string(content.size())})
          .add({.name = "sparse", .content = data})
          .add({.name = "zeros", .content = std::string(k_block + 1, '\0')})
          .finish());
  const FileContent& dense = packed.at("dense");
  REQUIRE(dense.block_words.size() == 5);
  CHECK(dense.block_words[0] == 0);
  CHECK(dense.block_words[2] != 0);
  CHECK(dense.block_words[4] == 0);
  CHECK(dense.hole_bytes == 3 * k_block + 7);
  CHECK(packed.at("sparse").size_bytes == content.size());
  CHECK(packed.at("sparse").block_words == dense.block_words);
  CHECK(packed.at("sparse").start == dense.start);
  CHECK(packed.at("sparse").hole_bytes == dense.hole_bytes);
  CHECK(packed.at("zeros").block_words == std::vector<std::uint32_t>{0, 0});
  CHECK(packed.at("zeros").start == 0);
}

TEST_CASE("contents that differ only in where their holes lie are told apart") {
  const std::string data = some_bytes(k_block, 1);
  const std::string hole(k_block, '\0');
  const Packed packed = pack(TarBuilder()
                                 .add({.name = "front", .content = data + hole + hole})
                                 .add({.name = "middle", .content = hole + data + hole})
                                 .add({.name = "back", .content = hole + hole + data})
                                 .finish());
  CHECK(packed.at("front").block_words[0] != 0);
  CHECK(packed.at("middle").block_words[1] != 0);
  CHECK(packed.at("back").block_words[2] != 0);
}

TEST_CASE("hostile input: sparse maps that lie are refused") {
  const auto sparse = [](const std::string& map, const std::string& size) {
    return TarBuilder()
        .pax({"GNU.sparse.map=" + map, "GNU.sparse.size=" + size})
        .add({.name = "f", .content = std::string(1000, 'x')})
        .finish();
  };
  CHECK(contains(pack_error(sparse("600,10,0,10", "1000")), "sparse map"));  // backwards
  CHECK(contains(pack_error(sparse("5,10,10,10", "1000")), "sparse map"));   // overlapping
  CHECK(contains(pack_error(sparse("995,10", "1000")), "sparse map"));       // over the end
  CHECK(contains(pack_error(sparse("2000,10", "1000")), "sparse map"));      // behind it
  CHECK(contains(
      pack_error(
          TarBuilder().pax({"GNU.sparse.realsize=10"}).add({.name = "f", .content = std::string(1000, 'x')}).finish()),
      "sparse map"));
  CHECK_THROWS_AS(pack(sparse("9223372036854775807,10", "1000")), LayerError);
}

TEST_CASE("hostile input: a petabyte of holes meets the limit, not the memory") {
  const std::string tar = TarBuilder()
                              .pax({"GNU.sparse.map=0,4", "GNU.sparse.size=1125899906842624"})
                              .add({.name = "f", .content = "data"})
                              .finish();
  const auto thrown = thrown_by<LayerLimitError>([&] { pack(tar); });
  CHECK(contains(thrown.hint, "pull.max_layer_bytes"));
  // 64 GiB are within the limits, and cost what their block list does.
  const Packed packed = pack(TarBuilder()
                                 .pax({"GNU.sparse.map=0,4", "GNU.sparse.size=68719476736"})
                                 .add({.name = "f", .content = "data"})
                                 .finish());
  CHECK(packed.at("f").block_words.size() == 1u << 19);
}
