#include "squashfs/sif.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/fd.hpp"
#include "squashfs/format.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

namespace mlctr::squashfs {
namespace {

using test::contains;
using test::thrown_by;

constexpr std::size_t k_descriptors_at = 256, k_data_at = 4096, k_data_bytes = 1000;

// A file with two descriptors, a label and the system partition, to be broken by hand.
class SifFile {
 public:
  SifFile() : bytes(k_data_at + k_data_bytes, '\0') {
    bytes.replace(0, 31, "#!/usr/bin/env run-singularity\n");
    bytes.replace(32, 9, "SIF_MAGIC");
    set(88, std::uint64_t{2});
    set(96, std::uint64_t{k_descriptors_at});
    describe(0, 0x4003, 0, 0);
    describe(1, 0x4004, 1, 2);
  }

  std::string bytes;

  static std::size_t descriptor(std::size_t number) { return k_descriptors_at + number * 585; }

  template <std::unsigned_integral T>
  void set(std::size_t at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes.at(at + i) = static_cast<char>(value >> (8 * i));
  }

  std::optional<FilePart> find() const {
    const std::filesystem::path path = directory_.write("image.sif", bytes);
    return find_sif_image(open_file(path, O_RDONLY).get(), path);
  }

  std::string refusal() const {
    return thrown_by([&] { find(); }).message;
  }

 private:
  void describe(std::size_t number, std::uint32_t type, std::uint32_t filesystem, std::uint32_t kind) {
    const std::size_t at = descriptor(number);
    set(at, type);
    bytes.at(at + 4) = 1;
    set(at + 17, std::uint64_t{k_data_at});
    set(at + 25, std::uint64_t{k_data_bytes});
    set(at + 201, filesystem);
    set(at + 205, kind);
  }

  test::TemporaryDirectory directory_;
};

TEST_CASE("A SIF file's primary system partition is found") {
  const auto part = SifFile().find();
  REQUIRE(part);
  CHECK(part->offset == k_data_at);
  CHECK(part->size_bytes == k_data_bytes);
}

TEST_CASE("Other files are no SIF files") {
  SifFile file;
  file.bytes[36] = 'X';
  CHECK_FALSE(file.find());
  file.bytes.resize(100);
  CHECK_FALSE(file.find());
  file.bytes.clear();
  CHECK_FALSE(file.find());
}

TEST_CASE("Descriptors that are not in use, of other kinds or other types are passed over") {
  SifFile file;
  SUBCASE("not in use") {
    file.bytes.at(SifFile::descriptor(1) + 4) = 0;
  }
  SUBCASE("a data partition") {
    file.set(SifFile::descriptor(1) + 205, std::uint32_t{3});
  }
  SUBCASE("an OCI blob") {
    file.set(SifFile::descriptor(1), std::uint32_t{0x400a});
  }
  SUBCASE("not counted") {
    file.set(88, std::uint64_t{1});
  }
  CHECK(contains(file.refusal(), "no system partition"));
}

TEST_CASE("Partitions that can't be read as squashfs are told apart") {
  SifFile file;
  file.set(SifFile::descriptor(1) + 201, std::uint32_t{5});
  CHECK(contains(file.refusal(), "encrypted"));
  file.set(SifFile::descriptor(1) + 201, std::uint32_t{2});
  CHECK(contains(file.refusal(), "no squashfs"));
}

TEST_CASE("Hostile numbers are refused") {
  constexpr std::uint64_t k_huge = ~std::uint64_t{0};
  SifFile file;
  SUBCASE("too many descriptors") {
    file.set(88, k_huge);
  }
  SUBCASE("as many as wrap around") {
    file.set(88, k_huge / 585 + 2);
  }
  SUBCASE("more than fit") {
    file.set(88, std::uint64_t{9});
  }
  SUBCASE("descriptors in the header") {
    file.set(96, std::uint64_t{8});
  }
  SUBCASE("descriptors behind the end") {
    file.set(96, k_huge - 100);
  }
  SUBCASE("a partition behind the end") {
    file.set(SifFile::descriptor(1) + 17, std::uint64_t{k_data_at + 2000});
  }
  SUBCASE("a partition before the start") {
    file.set(SifFile::descriptor(1) + 17, k_huge);
  }
  SUBCASE("a partition in the header") {
    file.set(SifFile::descriptor(1) + 17, std::uint64_t{0});
  }
  SUBCASE("a partition longer than the file") {
    file.set(SifFile::descriptor(1) + 25, std::uint64_t{k_data_bytes + 1});
  }
  SUBCASE("a length that wraps around") {
    file.set(SifFile::descriptor(1) + 25, k_huge - k_data_at + 1);
  }
  CHECK(contains(file.refusal(), "outside of it"));
}

}  // namespace
}  // namespace mlctr::squashfs
