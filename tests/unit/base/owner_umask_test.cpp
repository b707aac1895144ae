#include "base/owner_umask.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

using namespace mlctr;

TEST_CASE("the owner keeps his rights until the session's umask is back") {
  const mode_t before = ::umask(0717);
  spare_owner_in_umask();
  spare_owner_in_umask();
  CHECK(::umask(0017) == 0017);
  restore_umask();
  CHECK(::umask(before) == 0717);
}
