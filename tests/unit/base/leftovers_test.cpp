#include "base/leftovers.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "tests/unit/temporary_directory.hpp"

using namespace mlctr;
using mlctr::test::TemporaryDirectory;

namespace {

constexpr std::string_view k_prefix = ".test-";

std::filesystem::path make_old(const std::filesystem::path& path, std::time_t age_s) {
  open_file(path, O_WRONLY | O_CREAT);
  const std::time_t then = std::time(nullptr) - age_s;
  const timespec times[2] = {{then, 0}, {then, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  return path;
}

}  // namespace

TEST_CASE("what nobody holds is a leftover, but for what was made this moment") {
  const TemporaryDirectory directory;
  const auto old = make_old(directory.path() / leftover_name(k_prefix), 10);
  const auto held = make_old(directory.path() / leftover_name(k_prefix), 10);
  make_old(directory.path() / leftover_name(k_prefix), 0);
  make_old(directory.path() / leftover_name(".other-"), 10);
  make_old(directory.path() / (std::string(k_prefix) + "mine"), 10);
  const Fd holder = open_file(held, O_RDWR);
  hold_leftover(holder.get());
  CHECK(find_leftovers(directory.path(), k_prefix) == std::vector{old});
}

TEST_CASE("a directory is held as well") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / leftover_name(k_prefix);
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  const timespec times[2] = {{1, 0}, {1, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  {
    const Fd holder = open_file(path, O_RDONLY | O_DIRECTORY);
    hold_leftover(holder.get());
    CHECK(find_leftovers(directory.path(), k_prefix).empty());
  }
  CHECK(find_leftovers(directory.path(), k_prefix) == std::vector{path});
}

TEST_CASE("of another node's only the age is known") {
  const TemporaryDirectory directory;
  const std::string elsewhere = std::string(k_prefix) + "ffffffff-";
  make_old(directory.path() / (elsewhere + "0123456789abcde0"), 10);
  const auto old = make_old(directory.path() / (elsewhere + "0123456789abcde1"), 2 * 24 * 3600);
  CHECK(find_leftovers(directory.path(), k_prefix) == std::vector{old});
}

TEST_CASE("a link is a leftover itself, never what it leads to") {
  const TemporaryDirectory directory;
  const auto target = make_old(directory.path() / "target", 10);
  std::filesystem::create_symlink(target, directory.path() / leftover_name(k_prefix));
  CHECK(find_leftovers(directory.path(), k_prefix).empty());
}
