#include "app/blob_spool.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "temporary_directory.hpp"

using namespace mlctr;
using mlctr::test::TemporaryDirectory;

namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string read_some(BlobSpool& spool, std::uint64_t offset, std::stop_token stop = {}) {
  std::string buffer(64, '\0');
  buffer.resize(spool.read(std::as_writable_bytes(std::span(buffer)), offset, stop));
  return buffer;
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path) << content;
}

}  // namespace

TEST_CASE("a reader gets what the writer appends, then the end") {
  const TemporaryDirectory directory;
  ProgressItem progress("layer", 10);
  BlobSpool spool(directory / "blob", 10, progress);
  std::jthread writer([&] {
    spool.append(bytes("01234"));
    spool.append(bytes("56789"));
    spool.finish();
  });
  std::string all;
  for (std::string part; !(part = read_some(spool, all.size())).empty();) all += part;
  CHECK(all == "0123456789");
  CHECK(progress.downloaded_bytes == 10);
  CHECK(spool.appended_bytes() == 10);
}

TEST_CASE("what an earlier pull left is read first and counts as resumed") {
  const TemporaryDirectory directory;
  write_file(directory / "blob", "01234");
  ProgressItem progress("layer", 10);
  BlobSpool spool(directory / "blob", 10, progress);
  CHECK(spool.size() == 5);
  CHECK(spool.resumed_bytes() == 5);
  CHECK(read_some(spool, 0) == "01234");
  spool.append(bytes("56789"));
  CHECK(read_some(spool, 5) == "56789");
  CHECK(progress.resumed_bytes == 5);
  CHECK(progress.downloaded_bytes == 10);
}

TEST_CASE("more bytes than the blob can have are thrown away") {
  const TemporaryDirectory directory;
  write_file(directory / "blob", "01234567890123");
  ProgressItem progress("layer", 10);
  const BlobSpool spool(directory / "blob", 10, progress);
  CHECK(spool.size() == 0);
  CHECK(std::filesystem::file_size(directory / "blob") == 0);
}

TEST_CASE("a reader ahead of a restart waits for the bytes to come again") {
  const TemporaryDirectory directory;
  ProgressItem progress("layer", 10);
  BlobSpool spool(directory / "blob", 10, progress);
  spool.append(bytes("01234"));
  REQUIRE(read_some(spool, 0) == "01234");
  spool.restart();
  std::jthread writer([&] { spool.append(bytes("0123456789")); });
  CHECK(read_some(spool, 5) == "56789");
}

TEST_CASE("the writer's failure reaches the reader after the bytes that came") {
  const TemporaryDirectory directory;
  ProgressItem progress("layer", 10);
  BlobSpool spool(directory / "blob", 10, progress);
  spool.append(bytes("012"));
  spool.fail(std::make_exception_ptr(Error("the wire broke")));
  CHECK(read_some(spool, 0) == "012");
  CHECK_THROWS_WITH_AS(read_some(spool, 3), "the wire broke", Error);
  CHECK(spool.has_failed());
}

TEST_CASE("a stop wakes a waiting reader") {
  const TemporaryDirectory directory;
  ProgressItem progress("layer", 10);
  BlobSpool spool(directory / "blob", 10, progress);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  CHECK_THROWS_AS(read_some(spool, 0, stop.get_token()), Cancelled);
}

TEST_CASE("a spool does not follow a symlink") {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(directory / "elsewhere", directory / "blob");
  ProgressItem progress("layer", 10);
  CHECK_THROWS_AS(BlobSpool(directory / "blob", 10, progress), SysError);
}
