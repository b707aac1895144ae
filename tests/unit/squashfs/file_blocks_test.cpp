#include "squashfs/file_blocks.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "sample_image.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

namespace mlctr::squashfs {
namespace {

using test::add_at;
using test::SampleImage;
using test::TemporaryDirectory;

// Never written: only where they would lie is asked for.
FileContent imaginary_file(std::uint32_t blocks) {
  FileContent file{.size_bytes = std::uint64_t{blocks} * k_block_bytes, .start = 96};
  for (std::uint32_t i = 0; i < blocks; ++i) file.block_words.push_back(i % 7 == 3 ? 0 : i % 50 + 1);
  return file;
}

class OpenImage {
 public:
  explicit OpenImage(const std::filesystem::path& path)
      : file_(open_file(path, O_RDONLY)), reader(file_.get(), path, 0, 16) {}

 private:
  Fd file_;

 public:
  Reader reader;

  StoredFile file_named(std::string_view name) const {
    const StoredInode root = reader.root();
    const auto entry = reader.find(std::get<StoredDirectory>(root.kind), name);
    REQUIRE(entry.has_value());
    return std::get<StoredFile>(reader.inode(entry->inode).kind);
  }
};

}  // namespace

TEST_CASE("blocks are found in any order, as far apart as they may be") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  constexpr std::uint32_t k_count = 5 * FileBlocks::k_blocks_a_mark + 17;
  const FileContent content = imaginary_file(k_count);
  std::vector<std::uint64_t> starts{content.start};
  for (const std::uint32_t word : content.block_words) starts.push_back(starts.back() + word);
  add_at(image.tree, "file", {.kind = content});
  image.add_file("padding", std::string(1 << 20, 'x'));
  const OpenImage open(image.finish());
  const StoredFile file = open.file_named("file");
  CHECK(file.block_count == k_count);
  CHECK(open.reader.content(file).block_words == content.block_words);
  for (const bool is_fresh : {true, false}) {
    FileBlocks known(open.reader, file);
    std::uint32_t random = 1;
    for (int i = 0; i < 300; ++i) {
      FileBlocks fresh(open.reader, file);
      random = random * 1664525u + 1013904223u;
      const std::uint32_t first = (random >> 8) % k_count;
      const std::uint32_t count = std::min<std::uint32_t>((random >> 4) % 40, k_count - first);
      const std::vector<StoredBlock> found = (is_fresh ? fresh : known).locate(first, count);
      REQUIRE(found.size() == count);
      for (std::uint32_t at = 0; at < count; ++at) {
        CHECK(found[at].start == starts[first + at]);
        CHECK(found[at].word == content.block_words[first + at]);
      }
    }
  }
}

TEST_CASE("a block outside of the image is refused, those before it are not") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  FileContent content = imaginary_file(3000);
  content.block_words[2000] = k_block_bytes | k_raw_block;
  content.block_words[2001] = k_block_bytes | k_raw_block;
  add_at(image.tree, "file", {.kind = content});
  image.add_file("padding", std::string(100'000, 'x'));  // the others do lie inside
  const OpenImage open(image.finish());
  FileBlocks blocks(open.reader, open.file_named("file"));
  CHECK(blocks.locate(0, 2000).size() == 2000);
  CHECK(test::contains(test::thrown_by([&] { blocks.locate(1990, 100); }).message, "blocks lie outside"));
  CHECK(blocks.locate(5, 5).size() == 5);
}

TEST_CASE("a listing can be entered at every offset, and inside an entry means at the next") {
  const TemporaryDirectory directory;
  SampleImage image(directory / "image.sqsh");
  constexpr int k_files = 3000;  // several metadata blocks, so that there is an index
  for (int i = 0; i < k_files; ++i) add_at(image.tree, "some-file-" + std::to_string(i), {.kind = Fifo{}});
  const OpenImage open(image.finish());
  const StoredInode root = open.reader.root();
  const auto& listing = std::get<StoredDirectory>(root.kind);
  CHECK(listing.index_count > 1);
  DirectoryCursor all(open.reader, listing);
  std::uint64_t offset = 0;
  int count = 0;
  while (const auto entry = all.next()) {
    ++count;
    for (const std::uint64_t place : {offset, all.listing_offset() - 1}) {
      DirectoryCursor there = open.reader.list_from(listing, place);
      const auto found = there.next();
      if (place == offset) {
        REQUIRE(found.has_value());
        CHECK(found->name == entry->name);
      } else {
        CHECK((!found || found->name > entry->name));
      }
    }
    offset = all.listing_offset();
  }
  CHECK(count == k_files);
  CHECK(offset == listing.size_bytes);
  CHECK_FALSE(open.reader.list_from(listing, offset).next().has_value());
  CHECK_FALSE(open.reader.list_from(listing, offset + 1000).next().has_value());
}

}  // namespace mlctr::squashfs
