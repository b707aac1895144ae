#include "base/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace mlctr;

TEST_CASE("context goes in front of the cause, the hint nearest the cause stays") {
  Error error("HTTP 429", "wait a minute");
  error.add_context("GET https://r.example/v2/").add_hint("give up").add_context("cannot pull x");
  CHECK(error.message() == "cannot pull x: GET https://r.example/v2/: HTTP 429");
  CHECK(error.hint() == "wait a minute");
  CHECK(std::string(error.what()) == error.message());
}

TEST_CASE("a hint is taken where there is none yet") {
  Error error("no");
  error.add_hint("try this");
  CHECK(error.hint() == "try this");
}

TEST_CASE("one line holds message and hint, where there is one") {
  CHECK(Error("it failed", "try this").in_one_line() == "it failed; try this");
  CHECK(Error("it failed").in_one_line() == "it failed");
}

TEST_CASE("a failed system call says which and why") {
  errno = ENOENT;
  const SysError error("cannot open /x");
  errno = 0;
  CHECK(error.errno_value() == ENOENT);
  CHECK(error.message() == "cannot open /x: No such file or directory");
}

TEST_CASE("context added through a base reference survives a rethrow") {
  try {
    try {
      throw SysError("cannot open /x", EACCES);
    } catch (Error& error) {
      error.add_context("cannot run");
      throw;
    }
  } catch (const SysError& error) {
    CHECK(error.message() == "cannot run: cannot open /x: Permission denied");
    CHECK(error.errno_value() == EACCES);
  }
}
