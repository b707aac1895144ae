#include "spank/helper_process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "spank/descriptor.hpp"

namespace mlctr::spank {
namespace {

enum class Step : int { descriptors, exec };

const char* name_of(Step step) {
  switch (step) {
    case Step::descriptors:
      return "cannot arrange the descriptors of";
    case Step::exec:
      break;
  }
  return "cannot run";
}

struct ChildFailure {
  Step step;
  int cause;
};

// From here to the exec only what is safe in a process that has slurmstepd's memory, not a copy of it (to copy its page
// tables, and each page that is written to then, takes longer than all else the plugin does): no malloc, no locks,
// nothing left changed; system calls where glibc's function would ask its threads to do the same.

[[noreturn]] void report(int pipe, Step step) {
  const ChildFailure failure{.step = step, .cause = errno};
  [[maybe_unused]] const auto written = ::write(pipe, &failure, sizeof(failure));
  ::_exit(127);
}

void close_on_exec_from(unsigned first) {
  if (::syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  struct rlimit limit;  // before Linux 5.11
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 65536) limit.rlim_cur = 65536;
  for (unsigned fd = first; fd < limit.rlim_cur; ++fd) ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
}

/// Where the pipe is after this.
int arrange_descriptors(const HelperStart& start, int pipe) {
  // Out of the way of what is placed below; slurmstepd may have no standard input, so that these may be 0.
  pipe = ::fcntl(pipe, F_DUPFD_CLOEXEC, 10);
  const int socket = start.socket < 0 ? -1 : ::fcntl(start.socket, F_DUPFD_CLOEXEC, 10);
  if (pipe < 0 || (start.socket >= 0 && socket < 0)) ::_exit(127);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) report(pipe, Step::descriptors);
  if (::fcntl(STDERR_FILENO, F_GETFD) < 0 && ::dup2(null, STDERR_FILENO) < 0) report(pipe, Step::descriptors);
  if (::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) report(pipe, Step::descriptors);
  close_on_exec_from(k_helper_socket);
  if (socket >= 0 && ::dup2(socket, k_helper_socket) < 0) report(pipe, Step::descriptors);
  return pipe;
}

[[noreturn]] void become_helper(const HelperStart& start, int pipe, pid_t parent) {
  pipe = arrange_descriptors(start, pipe);
  // A task that is killed alone leaves no pull behind.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(start.path, start.words, start.environment);
  report(pipe, Step::exec);
}

/// While one lives the kernel keeps children that have ended for waitpid(), whatever was inherited for SIGCHLD.
class KeptChildren {
 public:
  KeptChildren() {
    struct sigaction keep {};
    keep.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &keep, &before_);
  }
  KeptChildren(const KeptChildren&) = delete;
  KeptChildren& operator=(const KeptChildren&) = delete;
  ~KeptChildren() { ::sigaction(SIGCHLD, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

}  // namespace

HelperEnd run_helper(const HelperStart& start) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {.not_started = failed_by_errno("cannot run %s: cannot make a pipe", start.path)};
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const KeptChildren kept;
  const pid_t parent = ::getpid();
  const pid_t child = ::vfork();
  if (child < 0) return {.not_started = failed_by_errno("cannot run %s: cannot fork", start.path)};
  if (child == 0) become_helper(start, writing.get(), parent);
  writing.reset(-1);
  ChildFailure failure{};
  ssize_t got = 0;
  do got = ::read(reading.get(), &failure, sizeof(failure));
  while (got < 0 && errno == EINTR);
  const int status = wait_for(child);
  if (got != sizeof(failure)) return {.not_started = {}, .status = status};
  errno = failure.cause;
  return {.not_started = failed_by_errno("%s %s", name_of(failure.step), start.path), .status = status};
}

}  // namespace mlctr::spank
