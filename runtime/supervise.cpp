#include "runtime/supervise.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "base/soft_limits.hpp"

namespace mlctr::runtime {
namespace {

class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { restore(); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  void restore() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  siginfo_t next() const {
    sigset_t all;
    ::sigfillset(&all);
    siginfo_t info{};
    while (::sigwaitinfo(&all, &info) < 0 && errno == EINTR) {
    }
    return info;
  }

 private:
  sigset_t before_;
};

// What has become of children; the end of `program`, once it has one.
std::optional<ProgramEnd> reap_until(pid_t program) {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
    if (pid != program) continue;
    if (WIFSTOPPED(status)) ::kill(::getpid(), SIGSTOP);  // ^Z: the shell waits for us, not for the program
    if (WIFEXITED(status)) return Exited{WEXITSTATUS(status)};
    if (WIFSIGNALED(status)) return Killed{WTERMSIG(status)};
  }
  return std::nullopt;
}

// Keys go to every process of the terminal's foreground. That the terminal is gone is told to its session's leader
// alone, which mlctr is where no shell is around it (tmux new-session 'mlctr run …', ssh -t).
bool came_to_program_too(const siginfo_t& signal) {
  if (signal.si_code != SI_KERNEL || signal.si_signo == SIGCONT) return false;
  return signal.si_signo != SIGHUP || ::getsid(0) != ::getpid();
}

}  // namespace

int shell_exit_code(const ProgramEnd& end) {
  const auto* killed = std::get_if<Killed>(&end);
  return killed != nullptr ? 128 + killed->signal_number : std::get<Exited>(end).code;
}

ProgramEnd supervise(const std::function<void()>& child) {
  const BlockedSignals blocked;
  const pid_t program = ::fork();
  if (program < 0) throw fork_error("cannot start a process", errno);
  if (program == 0) {
    blocked.restore();
    child();
    ::_exit(1);
  }
  for (;;) {
    const siginfo_t signal = blocked.next();
    if (signal.si_signo == SIGCHLD) {
      if (const auto end = reap_until(program)) return *end;
    } else if (!came_to_program_too(signal)) {
      ::kill(program, signal.si_signo);
    }
  }
}

}  // namespace mlctr::runtime
