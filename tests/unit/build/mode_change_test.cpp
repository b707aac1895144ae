#include "build/mode_change.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "base/error.hpp"

namespace mlctr::build {
namespace {

mode_t changed(const char* text, mode_t mode) {
  return ModeChange::parse(text).apply(mode);
}

}  // namespace

TEST_CASE("octal modes replace all") {
  CHECK(changed("755", S_IFREG | 0600) == 0755);
  CHECK(changed("0", S_IFREG | 07777) == 0);
  CHECK(changed("4711", S_IFDIR | 0700) == 04711);
}

// What GNU chmod made of a file of this mode, with a umask of 022.
TEST_CASE("symbolic modes are chmod's") {
  CHECK(changed("u=rwX,go=rX", S_IFREG | 0600) == 0644);
  CHECK(changed("u=rwX,go=rX", S_IFREG | 0700) == 0755);
  CHECK(changed("u=rwX,go=rX", S_IFDIR | 0600) == 0755);
  CHECK(changed("+x", S_IFREG | 0644) == 0755);
  CHECK(changed("+w", S_IFREG | 0444) == 0644);
  CHECK(changed("-w", S_IFREG | 0666) == 0466);
  CHECK(changed("=r", S_IFREG | 0777) == 0444);
  CHECK(changed("a-x", S_IFREG | 0755) == 0644);
  CHECK(changed("g=u", S_IFREG | 0640) == 0660);
  CHECK(changed("g=u-w", S_IFREG | 0640) == 0640);
  CHECK(changed("o=", S_IFREG | 0777) == 0770);
  CHECK(changed("u+s,g+s", S_IFREG | 0755) == 06755);
  CHECK(changed("u+t", S_IFREG | 0755) == 0755);
  CHECK(changed("+t", S_IFREG | 0755) == 01755);
  CHECK(changed("ug+rw,o-rwx", S_IFREG | 0405) == 0660);
  CHECK(changed("-rwxr-xr-x", S_IFREG | 0755) == 0);
}

TEST_CASE("what is no mode is refused") {
  for (const char* text : {"", "888", "77777", "u", "x", "u=rwz", "u+r,", ",u+r", "u=gr", "+ x"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ModeChange::parse(text), Error);
  }
}

}  // namespace mlctr::build
