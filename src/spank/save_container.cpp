#include "spank/save_container.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "spank/helper_process.hpp"
#include "spank/job_environment.hpp"
#include "spank/mlctr_command.hpp"

namespace mlctr::spank {
namespace {

/// Signals of the job are for the task, who has all its own.
void ignore_signals() {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (signal != SIGCHLD) ::signal(signal, SIG_IGN);  // refused for SIGKILL and SIGSTOP
  }
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int wait_for_task(pid_t task) {
  int status = 0;
  while (::waitpid(task, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

bool has_joined(const Descriptor& joined) {
  char byte;
  return ::read(joined.get(), &byte, 1) == 1;
}

/// What it ends with; mlctr has told what went wrong.
int save(spank_t spank, const PluginSettings& settings, const GivenOptions& given) {
  char* const* const environment = job_environment(spank);
  if (environment == nullptr) return 1;
  const MlctrCommand command("save", settings, given, environment);
  const HelperEnd end = run_helper({.path = settings.mlctr, .words = command.words(), .environment = environment});
  if (end.not_started.happened()) {
    ::slurm_error("mlctr: --container-save: %s", end.not_started.text.data());
    return 1;
  }
  if (WIFEXITED(end.status)) return WEXITSTATUS(end.status);
  ::slurm_error("mlctr: --container-save: %s was ended by signal %d", settings.mlctr, WTERMSIG(end.status));
  return 1;
}

[[noreturn]] void end_as(int status) {
  if (WIFEXITED(status)) ::_exit(WEXITSTATUS(status));
  const rlimit no_core{0, 0};  // the task has left one, if any
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(WTERMSIG(status), SIG_DFL);
  ::raise(WTERMSIG(status));
  ::_exit(128 + WTERMSIG(status));
}

}  // namespace

bool is_saved(const GivenOptions& given, char* const* environment) {
  return given.has(Option::save) || variable_of(Option::save, environment) != nullptr;
}

SavedTask::SavedTask(spank_t spank, const PluginSettings& settings, const GivenOptions& given) {
  if (!is_saved(given, job_environment(spank))) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    failure_ = failed_by_errno("--container-save: cannot make a pipe");
    return;
  }
  Descriptor joined(ends[0]);
  joined_.reset(ends[1]);
  // None must end the parent before it ignores them.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t task = ::fork();
  if (task > 0) {
    ignore_signals();
    joined_.reset(-1);
    const int status = wait_for_task(task);
    const int saved = has_joined(joined) ? save(spank, settings, given) : 0;
    if (saved != 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) ::_exit(saved);
    end_as(status);
  }
  if (task < 0) failure_ = failed_by_errno("--container-save: cannot fork");
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

void SavedTask::tell_joined() {
  if (!joined_) return;
  // Who kills the task that Slurm knows means the program. Joining has cleared what was set before.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  [[maybe_unused]] const auto written = ::write(joined_.get(), "", 1);
  joined_.reset(-1);
}

}  // namespace mlctr::spank
