#include "base/file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>

#include "base/error.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::TemporaryDirectory;
using mlctr::test::thrown_by;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::size_t entries_in(const std::filesystem::path& directory) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file is written whole, with the mode asked for, and nothing beside it is left") {
  const TemporaryDirectory directory;
  write_file_atomically(directory / "f", "old", 0600);
  write_file_atomically(directory / "f", std::string("new\0x", 5), 0600);
  CHECK(read_file(directory / "f") == std::string("new\0x", 5));
  CHECK(mode_of(directory / "f") == 0600);
  CHECK(entries_in(directory.path()) == 1);
}

TEST_CASE("a write that can't be finished leaves the old content") {
  const TemporaryDirectory directory;
  directory.write("d/keep", "x");  // a directory that is not empty can't be replaced by a file
  CHECK_THROWS_AS(write_file_atomically(directory / "d", "y"), SysError);
  CHECK(read_file(directory / "d/keep") == "x");
  CHECK(entries_in(directory.path()) == 1);
}

TEST_CASE("reading stops at the limit") {
  const TemporaryDirectory directory;
  directory.write("f", std::string(1000, 'x'));
  CHECK(read_file(directory / "f", 1000).size() == 1000);
  const auto thrown = thrown_by([&] { read_file(directory / "f", 999); });
  CHECK(contains(thrown.message, "larger than 999 bytes"));
  CHECK_THROWS_AS(read_file("/dev/zero", 1 << 20), Error);
}

TEST_CASE("a missing file is named") {
  const TemporaryDirectory directory;
  try {
    read_file(directory / "none");
    FAIL("nothing was thrown");
  } catch (const SysError& error) {
    CHECK(error.errno_value() == ENOENT);
    CHECK(contains(error.message(), (directory / "none").string()));
  }
}

TEST_CASE("a temporary file is gone unless it was committed") {
  const TemporaryDirectory directory;
  { const TemporaryFile file(directory / "t"); }
  CHECK(entries_in(directory.path()) == 0);
  {
    TemporaryFile file(directory / "t");
    write_all(file.fd(), bytes_of("abc"), "t");
    TemporaryFile moved = std::move(file);
    moved.commit(directory / "final");
  }
  CHECK(read_file(directory / "final") == "abc");
  CHECK(entries_in(directory.path()) == 1);
}

TEST_CASE("a temporary file is not written through a planted link") {
  const TemporaryDirectory directory;
  directory.write("victim", "precious");
  std::filesystem::create_symlink(directory / "victim", directory / "t");
  CHECK_THROWS_AS(TemporaryFile(directory / "t"), SysError);
  CHECK(read_file(directory / "victim") == "precious");
}

TEST_CASE("positional reads and copies") {
  const TemporaryDirectory directory;
  const Fd from = open_file(directory.write("from", "0123456789"), O_RDONLY);
  const Fd to = open_file(directory / "to", O_RDWR | O_CREAT);
  copy_range(from.get(), 2, to.get(), 3, 5, "to");
  CHECK(read_file(directory / "to") == std::string("\0\0\0", 3) + "23456");
  CHECK(file_size(to.get(), "to") == 8);
  write_all_at(to.get(), bytes_of("xy"), 0, "to");
  std::array<std::byte, 20> buffer{};
  CHECK(read_at(to.get(), buffer, 6, "to") == 2);  // only what there is
  CHECK(std::to_integer<char>(buffer[0]) == '5');
  CHECK_THROWS_AS(copy_range(from.get(), 8, to.get(), 0, 5, "to"), Error);  // the source ends early
}

TEST_CASE("copies work where the kernel can't copy between the files") {
  const TemporaryDirectory directory;
  // An append-only target is what copy_file_range refuses with EBADF; pwrite appends there.
  const Fd from = open_file(directory.write("from", "0123456789"), O_RDONLY);
  const Fd to = open_file(directory / "to", O_RDWR | O_CREAT | O_APPEND);
  copy_range(from.get(), 1, to.get(), 0, 4, "to");
  CHECK(read_file(directory / "to") == "1234");
}

TEST_CASE("a full disk is said to be full, with what can be done") {
  const Fd full = open_file("/dev/full", O_WRONLY);
  try {
    write_all(full.get(), bytes_of("x"), "image.sqsh");
    FAIL("nothing was thrown");
  } catch (const SysError& error) {
    CHECK(error.errno_value() == ENOSPC);
    CHECK(contains(error.message(), "cannot write image.sqsh"));
    CHECK(contains(error.hint(), "MiB left"));
  }
}

TEST_CASE("what is not there yet would be made in the nearest directory that is") {
  const TemporaryDirectory directory;
  CHECK(nearest_existing(directory.path()) == directory.path());
  CHECK(nearest_existing(directory / "a/b/c") == directory.path());
  CHECK(nearest_existing("/no-such-directory/a") == "/");
}

TEST_CASE("random suffixes are file names and never the same") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string suffix = random_suffix();
    CHECK(suffix.size() == 16);
    CHECK(suffix.find_first_not_of("0123456789abcdef") == std::string::npos);
    seen.insert(suffix);
  }
  CHECK(seen.size() == 1000);
}
