#include "app/login.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"

using namespace mlctr;

TEST_CASE("a registry has one name, however it is typed") {
  CHECK(login_name("ghcr.io") == "ghcr.io");
  CHECK(login_name("https://ghcr.io/v2/") == "ghcr.io");
  CHECK(login_name("GHCR.io") == "ghcr.io");
  CHECK(login_name("localhost:5000") == "localhost:5000");
  CHECK(login_name("[::1]:5000") == "[::1]:5000");
  for (const char* hub : {"docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"}) {
    CHECK(login_name(hub) == "docker.io");
  }
}

TEST_CASE("what is no host is refused") {
  for (const char* text : {"", "https://", "/", "user@ghcr.io", "gh cr.io", "ghcr.io?x", "a\"b"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(login_name(text), UsageError);
  }
}
