#include "base/thread.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/no_more_threads.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

TEST_CASE("a thread that can't start says what for, and which limits to look at") {
  const NoMoreThreads limit;
  const Thrown thrown = thrown_by([] { (void)start_thread("count sheep", [] {}); });
  CHECK(contains(thrown.message, "cannot start a thread to count sheep: "));
  CHECK(contains(thrown.hint, "ulimit -u"));
}

TEST_CASE("a thread started while signals are blocked takes none; its maker takes them again") {
  sigset_t in_thread;
  {
    const SignalsBlocked blocked;
    const std::jthread thread = start_thread("look", [&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &in_thread); });
  }
  sigset_t here;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &here);
  CHECK(::sigismember(&in_thread, SIGINT) == 1);
  CHECK(::sigismember(&in_thread, SIGPIPE) == 1);
  CHECK(::sigismember(&here, SIGINT) == 0);
}

TEST_CASE("a thread gets its own stop token") {
  std::jthread thread = start_thread("wait", [](const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
  });
  thread.request_stop();
  thread.join();
}
