#include "runtime/forked.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

using namespace mlctr::runtime;
using namespace std::chrono_literals;

namespace {

constexpr auto k_long = 60s;

int code_of(const ForkedResult& result) {
  REQUIRE(result.end);
  return std::get<Exited>(*result.end).code;
}

}  // namespace

TEST_CASE("what a child says and how it ends is the result") {
  const std::string much(300'000, 'x');  // more than a pipe holds
  const auto result = run_forked(
      [&](const Say& say) {
        say("one ");
        say(much);
      },
      k_long);
  CHECK(code_of(result) == 0);
  CHECK(result.said == "one " + much);
  CHECK(code_of(run_forked([](const Say&) { ::_exit(7); }, k_long)) == 7);
}

TEST_CASE("a crash is a result") {
  const auto result = run_forked(
      [](const Say& say) {
        say("before");
        ::raise(SIGKILL);
      },
      k_long);
  CHECK(result.said == "before");
  REQUIRE(result.end);
  CHECK(std::get<Killed>(*result.end).signal_number == SIGKILL);
}

TEST_CASE("who takes too long is killed, and leaves no zombie") {
  const auto result = run_forked(
      [](const Say& say) {
        say("here");
        for (;;) ::pause();
      },
      1s);
  CHECK(result.said == "here");
  CHECK_FALSE(result.end);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a child that leaves a process behind has ended all the same") {
  const auto result = run_forked(
      [](const Say& say) {
        say("left");
        if (::fork() == 0) {
          ::sleep(5);  // has the pipe too
          ::_exit(0);
        }
      },
      4s);
  CHECK(code_of(result) == 0);
  CHECK(result.said == "left");
}

TEST_CASE("another program's end is told too") {
  const auto result = run_forked([](const Say&) { ::execl("/bin/sh", "sh", "-c", "exit 3", nullptr); }, k_long);
  CHECK(code_of(result) == 3);
}
