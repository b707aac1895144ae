// Other processes for tests of what processes do to each other.
#pragma once

#include <doctest/doctest.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <utility>

namespace mlctr::test {

/// A fork that runs `action` and exits with what it returns, 99 where it throws. Killed by the destructor if still
/// running.
class ChildProcess {
 public:
  template <class Action>
  explicit ChildProcess(const Action& action) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    try {
      ::_exit(action());
    } catch (...) {
      ::_exit(99);
    }
  }
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() { kill(); }

  pid_t pid() const { return pid_; }

  int wait() {
    int status = 0;
    REQUIRE(::waitpid(std::exchange(pid_, -1), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  pid_t pid_;
};

/// Runs `action` as an ordinary user: as nobody where we are root, whom permissions don't stop.
template <class Action>
int run_as_ordinary_user(const Action& action) {
  return ChildProcess([&] {
           constexpr unsigned k_nobody = 65534;
           const bool is_root = ::geteuid() == 0;
           if (is_root && (::setgroups(0, nullptr) != 0 || ::setresgid(k_nobody, k_nobody, k_nobody) != 0 ||
                           ::setresuid(k_nobody, k_nobody, k_nobody) != 0)) {
             return 98;
           }
           return action();
         })
      .wait();
}

/// One byte from one process to another: "I hold it now", "go on".
class Signal {
 public:
  Signal() { REQUIRE(::pipe(ends_) == 0); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void send() const { [[maybe_unused]] const auto put = ::write(ends_[1], "x", 1); }
  void await() const {
    char byte = 0;
    [[maybe_unused]] const auto got = ::read(ends_[0], &byte, 1);
  }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace mlctr::test
