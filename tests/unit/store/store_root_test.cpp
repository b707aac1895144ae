#include "store/store_root.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "store/store.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

TEST_CASE("a umask that keeps us out of our own files is refused before anything is made") {
  const TemporaryDirectory directory;
  for (const mode_t mask : {0777u, 0700u, 0200u, 0100u}) {
    const mode_t before = ::umask(mask);
    const Thrown thrown = thrown_by([&] { Store(directory / "store", Store::Access::read_write); });
    CHECK_NOTHROW(Store(directory / "store", Store::Access::read_only));
    ::umask(before);
    CHECK(contains(thrown.message, "umask 0"));
    CHECK(contains(thrown.hint, "umask 022"));
  }
  CHECK_FALSE(std::filesystem::exists(directory / "store"));
  const mode_t before = ::umask(077);
  CHECK_NOTHROW(Store(directory / "store", Store::Access::read_write));
  ::umask(before);
}
