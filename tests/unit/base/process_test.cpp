#include "base/process.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

ProcessResult shell(std::string script, std::string input = {}) {
  return run_process({.arguments = {"sh", "-c", std::move(script)}, .standard_input = std::move(input)});
}

}  // namespace

TEST_CASE("outputs and exit code come back apart") {
  const ProcessResult result = shell("echo out; echo err >&2; exit 3");
  CHECK(result.standard_output == "out\n");
  CHECK(result.standard_error == "err\n");
  CHECK(result.exit_code == 3);
}

TEST_CASE("input larger than a pipe goes through, and so does output") {
  const std::string input(300'000, 'x');
  CHECK(shell("cat", input).standard_output == input);
}

TEST_CASE("without input the program sees the end of it at once") {
  CHECK(shell("wc -c").standard_output.find('0') == 0);
}

TEST_CASE("a program that does not read its input may still answer") {
  const auto former = ::signal(SIGPIPE, SIG_IGN);  // as mlctr's main does
  CHECK(shell("exec <&-; echo answer", std::string(300'000, 'x')).standard_output == "answer\n");
  ::signal(SIGPIPE, former);
}

TEST_CASE("a signal is 128 and its number") {
  CHECK(shell("kill -TERM $$").exit_code == 128 + SIGTERM);
}

TEST_CASE("a missing program is ENOENT and named") {
  try {
    run_process({.arguments = {"docker-credential-no-such-program"}, .standard_input = {}});
    FAIL("nothing was thrown");
  } catch (const SysError& error) {
    CHECK(error.errno_value() == ENOENT);
    CHECK(contains(error.message(), "docker-credential-no-such-program"));
  }
}

TEST_CASE("a program that says too much or takes too long is ended") {
  const auto much = thrown_by([] {
    run_process({.arguments = {"cat", "/dev/zero"}, .standard_input = {}, .max_output_bytes = 10'000});
  });
  CHECK(contains(much.message, "cat"));
  const auto late = thrown_by([] {
    run_process({.arguments = {"sleep", "60"}, .standard_input = {}, .timeout = std::chrono::seconds(1)});
  });
  CHECK(contains(late.message, "sleep did not end within 1 s"));
}

TEST_CASE("no descriptor of ours reaches the program") {
  // Whoever started the tests may have left descriptors open for all its children; only those may be seen again.
  const auto count_inheritable = [] {
    int count = 0;
    for (int fd = 3; fd < 1024; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) ++count;
    }
    return count;
  };
  const std::string seen = shell("ls /proc/self/fd").standard_output;
  // The three of every program, and the directory that ls has open.
  CHECK(std::ranges::count(seen, '\n') == 3 + 1 + count_inheritable());
}
