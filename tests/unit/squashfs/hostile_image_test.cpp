// Hostile images: whatever a file says, reading it gives a tree or an Error, in bounded time and memory.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>

#include "../temporary_directory.hpp"
#include "../thrown.hpp"
#include "sample_image.hpp"
#include "squashfs/format.hpp"
#include "squashfs/lzo.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

constexpr std::size_t k_metadata_header = 2;

// The bytes of a small image with raw metadata, to be broken by hand.
class Victim {
 public:
  Victim() {
    SampleImage image(directory_ / "image.sqsh");
    const InodeIndex file = image.add_file("a/file", std::string(200'000, 'x') + "tail");
    image.tree.inodes[file].xattrs = image.tree.xattr_index({{"user.name", "value"}});
    add_at(image.tree, "a/link", {.kind = Symlink{"target"}});
    add_at(image.tree, "a/inner/fifo", {.kind = Fifo{}, .uid = 7});
    add_at(image.tree, "b/other", {.kind = Fifo{}});
    bytes = read_file(image.finish());
  }

  std::string bytes;

  Superblock superblock() const { return decode_superblock(std::as_bytes(std::span(bytes)), bytes.size()); }

  template <std::unsigned_integral T>
  void set(std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes.at(at + i) = static_cast<char>(value >> (8 * i));
  }
  template <std::unsigned_integral T>
  T at(std::size_t place) const {
    return get<T>(std::as_bytes(std::span(bytes)), place);
  }

  /// Where the directory table's payload has `name`; its entry's header is the 8 bytes in front.
  std::size_t name_at(std::string_view name) const {
    const std::size_t place = bytes.find(name, superblock().directory_table);
    REQUIRE(place != bytes.npos);
    return place;
  }
  std::size_t inode_of(std::string_view name) const {
    return superblock().inode_table + k_metadata_header + at<std::uint16_t>(name_at(name) - 8);
  }

  Tree read() const { return tree_of(directory_.write("broken.sqsh", bytes)); }
  std::string refusal() const {
    return thrown_by([&] { read(); }).message;
  }
  /// Either is fine; anything else ends the test program.
  bool is_readable() const {
    try {
      read();
      return true;
    } catch (const Error& error) {
      CHECK(contains(error.message(), "broken.sqsh is not a whole squashfs image: "));
      return false;
    }
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("the victim is sound before it is broken") {
  CHECK(Victim().read().inodes.size() == 8);
}

TEST_CASE("hostile input: a cut image is refused wherever it is cut") {
  const Victim whole;
  const Superblock s = whole.superblock();
  for (const std::uint64_t end :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{95}, std::uint64_t{96}, k_data_start, s.inode_table,
        s.inode_table + 1, s.directory_table, s.fragment_table, s.id_table, s.xattr_table, s.bytes_used - 1}) {
    Victim cut;
    cut.bytes.resize(end);
    CAPTURE(end);
    CHECK_FALSE(cut.is_readable());
    // The same, with a superblock that says so: the tables are what is cut.
    if (end < k_superblock_bytes) continue;
    cut.set(40, end);
    CHECK_FALSE(cut.is_readable());
  }
}

TEST_CASE("hostile input: every field of the superblock at its extremes") {
  const Victim whole;
  Victim broken;
  for (std::size_t at = 0; at < k_superblock_bytes; at += 2) {
    for (const unsigned value : {0u, 1u, 0x7fffu, 0x8000u, 0xffffu}) {
      broken.bytes = whole.bytes;
      broken.set(at, static_cast<std::uint16_t>(value));
      CAPTURE(at);
      broken.is_readable();
    }
  }
}

TEST_CASE("hostile input: directories must form a tree") {
  Victim victim;
  SUBCASE("an entry leads to the root") {
    const Superblock s = victim.superblock();
    const std::size_t entry = victim.name_at("inner") - 8;
    victim.set(entry, static_cast<std::uint16_t>(s.root_inode & 0xffff));
  }
  SUBCASE("two entries lead to one directory") {
    // "a" and "b" are neighbours in the root's listing.
    const std::size_t a = victim.bytes.rfind("a", victim.superblock().fragment_table - 1) - 8;
    victim.set(a + 8 + 1, victim.at<std::uint16_t>(a));
  }
  CHECK(contains(victim.refusal(), "a directory in it has two places"));
}

TEST_CASE("hostile input: names that would leave their directory are refused") {
  using namespace std::string_view_literals;
  for (const std::string_view name : {"fi/o"sv, ".."sv, "."sv, "f\0fo"sv}) {
    Victim victim;
    const std::size_t at = victim.name_at("fifo");
    victim.set(at - 2, static_cast<std::uint16_t>(name.size() - 1));
    victim.bytes.replace(at, name.size(), name);
    CHECK(contains(victim.refusal(), "impossible name"));
  }
}

TEST_CASE("hostile input: names out of order, twice, or too long are refused") {
  Victim victim;
  SUBCASE("order") {
    victim.bytes[victim.name_at("inner")] = 'z';
    CHECK(contains(victim.refusal(), "not in order"));
  }
  SUBCASE("twice") {
    victim.bytes[victim.bytes.rfind("b", victim.superblock().fragment_table - 1)] = 'a';
    CHECK(contains(victim.refusal(), "not in order"));
  }
  SUBCASE("length") {
    victim.set(victim.name_at("inner") - 2, std::uint16_t{0xffff});
    CHECK(contains(victim.refusal(), "is broken"));
  }
  SUBCASE("entries in a row") {
    victim.set(victim.name_at("file") - 8 - 12, std::uint32_t{256});
    CHECK(contains(victim.refusal(), "too many entries"));
  }
}

TEST_CASE("hostile input: a file's blocks, tail and owner must exist") {
  Victim victim;
  // The file has xattrs: u64 start at 16, u64 size, u64 holes, u32 links, fragment, offset, xattrs, words at 56.
  const std::size_t inode = victim.inode_of("file");
  SUBCASE("start") {
    victim.set(inode + 16, std::uint64_t{1} << 40);
    CHECK(contains(victim.refusal(), "blocks lie outside"));
  }
  SUBCASE("a start that wraps around") {
    victim.set(inode + 16, ~std::uint64_t{0} - 100);
    CHECK(contains(victim.refusal(), "blocks lie outside"));
  }
  SUBCASE("size") {
    victim.set(inode + 24, ~std::uint64_t{0});
    CHECK(contains(victim.refusal(), "claims 18446744073709551615 bytes"));
  }
  SUBCASE("more blocks than the table has bytes") {
    victim.set(inode + 24, std::uint64_t{100} << 30);
    CHECK_FALSE(victim.is_readable());
  }
  SUBCASE("block word") {
    victim.set(inode + 56, std::uint32_t{k_block_bytes + 1});
    CHECK(contains(victim.refusal(), "block is wrong"));
  }
  SUBCASE("fragment") {
    victim.set(inode + 44, std::uint32_t{99});
    CHECK(contains(victim.refusal(), "fragment is missing"));
  }
  SUBCASE("fragment offset") {
    victim.set(inode + 48, std::uint32_t{0xfffffff0});
    CHECK(contains(victim.refusal(), "outside of its fragment"));
  }
  SUBCASE("xattrs") {
    victim.set(inode + 52, std::uint32_t{1});
    CHECK(contains(victim.refusal(), "a record is missing"));
  }
  SUBCASE("owner") {
    victim.set(inode + 4, std::uint16_t{2});
    CHECK(contains(victim.refusal(), "owner is missing"));
  }
  SUBCASE("type") {
    victim.set(inode, std::uint16_t{15});
    CHECK(contains(victim.refusal(), "unknown type 15"));
  }
  SUBCASE("symlink") {
    victim.set(victim.inode_of("link") + 20, std::uint32_t{0xffffffff});
    CHECK(contains(victim.refusal(), "target claims 4294967295 bytes"));
  }
}

TEST_CASE("hostile input: counts must fit the tables") {
  Victim victim;
  SUBCASE("inodes") {
    victim.set(4, std::uint32_t{7});
    CHECK(contains(victim.refusal(), "more inodes than its superblock says"));
  }
  SUBCASE("fragments") {
    victim.set(16, std::uint32_t{0xffffffff});
    CHECK(contains(victim.refusal(), "more records than bytes"));
  }
  SUBCASE("xattr ids") {
    victim.set(victim.superblock().xattr_table + 8, std::uint32_t{0xffffffff});
    CHECK(contains(victim.refusal(), "more records than bytes"));
  }
}

TEST_CASE("hostile input: flipped bytes give a tree or an error") {
  std::mt19937 random(20260101);  // NOLINT: the same bytes in every run
  const Victim whole;
  const std::uint64_t tables = whole.superblock().inode_table;
  Victim broken;
  for (int round = 0; round < 3000; ++round) {
    broken.bytes = whole.bytes;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
      const std::uint64_t place = random() % (broken.bytes.size() - tables + k_superblock_bytes);
      broken.bytes[place < k_superblock_bytes ? place : tables + place - k_superblock_bytes] =
          static_cast<char>(random());
    }
    broken.is_readable();
  }
}

TEST_CASE("hostile input: broken lzo data ends with an error inside its bounds") {
  std::mt19937 random(7);  // NOLINT: the same bytes in every run
  std::vector<std::byte> stored(64);
  std::vector<std::byte> room(300);
  for (int round = 0; round < 20'000; ++round) {
    for (std::byte& byte : stored) byte = static_cast<std::byte>(random() % (round % 2 == 0 ? 256 : 34));
    try {
      const std::size_t size = decompress_lzo(stored, room);
      CHECK(size <= room.size());
    } catch (const Error& error) {
      CHECK(contains(error.message(), "lzo"));
    }
  }
  CHECK(contains(thrown_by([&] { decompress_lzo({}, room); }).message, "lzo"));
}
