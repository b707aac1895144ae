#include "runtime/hook_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/ignored_signals.hpp"
#include "base/owner_umask.hpp"
#include "base/printable.hpp"
#include "base/soft_limits.hpp"
#include "runtime/labelled_output.hpp"
#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::int64_t k_longest_poll_ms = 3'600'000;  // poll(2) takes an int, a setting may be a year

// The capabilities of the user namespace's first process go with an exec of any user but root; ambient ones stay
// (capabilities(7)). Hooks mount, and change files of the image that its modes protect.
void keep_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return;
  for (auto& half : data) half.inheritable = half.permitted;
  if (::syscall(SYS_capset, &header, data.data()) != 0) return;
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
  }
}

// Signals that would end mlctr wait while a hook runs: what it started has to end first.
class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
      struct sigaction action {};
      if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) ::sigaddset(&held_, signal);
    }
    ::sigprocmask(SIG_BLOCK, &held_, &before_);
    fd_ = Fd(::signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~HeldSignals() { restore(); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  int fd() const noexcept { return fd_.get(); }
  void restore() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

  // Lets the one that came do what it does; returns where none came.
  void heed() const {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return;
    restore();
    ::raise(static_cast<int>(info.ssi_signo));
  }

 private:
  sigset_t held_{}, before_{};
  Fd fd_;
};

struct Arguments {
  const char* file;
  std::vector<char*> direct, through_shell, environment;
};

struct HookStreams {
  int input, output, error;
};

[[noreturn]] void become_hook(const Arguments& arguments, const HeldSignals& signals, const HookStreams& streams,
                              int report) {
  ::setpgid(0, 0);
  signals.restore();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  restore_write_signals();
  ::dup2(streams.input, STDIN_FILENO);
  ::dup2(streams.output, STDOUT_FILENO);
  ::dup2(streams.error, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
  keep_capabilities();
  restore_soft_limits();
  restore_umask();
  if (::chdir("/") == 0) ::execve(arguments.file, arguments.direct.data(), arguments.environment.data());
  // A script without a #! line, as bash runs one.
  if (errno == ENOEXEC) ::execve("/bin/sh", arguments.through_shell.data(), arguments.environment.data());
  const int errno_value = errno;
  [[maybe_unused]] const auto written = ::write(report, &errno_value, sizeof errno_value);
  ::_exit(127);
}

// Of strings that live as long as `program`; execve(2) writes to none of them.
Arguments make_arguments(const HookProgram& program) {
  static char shell[] = "sh";
  const auto text = [](const std::string& string) { return const_cast<char*>(string.c_str()); };
  Arguments arguments{.file = program.file.c_str(), .direct = {}, .through_shell = {}, .environment = {}};
  for (const std::string& argument : program.arguments) arguments.direct.push_back(text(argument));
  if (arguments.direct.empty()) arguments.direct.push_back(text(program.file.native()));
  arguments.through_shell = {shell, text(program.file.native())};
  arguments.through_shell.insert(arguments.through_shell.end(), arguments.direct.begin() + 1, arguments.direct.end());
  for (const std::string& entry : program.environment) arguments.environment.push_back(text(entry));
  for (auto* list : {&arguments.direct, &arguments.through_shell, &arguments.environment}) list->push_back(nullptr);
  return arguments;
}

// False where it still runs at the deadline, or a signal came.
bool has_ended_by(const Fd& process, const HeldSignals& signals, std::optional<LabelledOutput>& said,
                  std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    std::array<pollfd, 3> wanted{
        {{process.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}, {said ? said->read_end() : -1, POLLIN, 0}}};
    const auto patience = std::clamp<std::int64_t>(left.count(), 0, k_longest_poll_ms);
    const int ready = ::poll(wanted.data(), wanted.size(), static_cast<int>(patience));
    if (wanted[2].revents != 0) said->take();
    if (wanted[0].revents != 0) return true;
    if (wanted[1].revents != 0 || (ready >= 0 && left.count() <= 0)) return false;
  }
}

// Kills what is left of the hook's process group, and reaps the hook.
int end_hook(pid_t hook) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(hook), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  ::kill(-hook, SIGKILL);  // its number is taken until it is reaped
  return reap(hook);
}

}  // namespace

void run_hook(const HookProgram& program, std::chrono::seconds timeout, HookOutput output) {
  const Arguments arguments = make_arguments(program);
  const Fd null = open_file("/dev/null", O_RDWR);
  Pipe report = make_pipe();
  std::optional<LabelledOutput> said;
  if (output == HookOutput::labelled) said.emplace(printable(program.file.filename().string()));
  const HeldSignals signals;
  const pid_t hook = ::fork();
  if (hook < 0) throw fork_error("cannot start a process", errno);
  if (hook == 0) {
    become_hook(arguments, signals,
                {.input = program.input >= 0 ? program.input : null.get(),
                 .output = null.get(),
                 .error = said ? said->write_end() : STDERR_FILENO},
                report.write_end.get());
  }
  report.write_end.reset();
  if (said) said->close_write_end();
  ::setpgid(hook, hook);  // whoever is first
  int errno_value = 0;
  while (::read(report.read_end.get(), &errno_value, sizeof errno_value) < 0 && errno == EINTR) {
  }

  const bool has_ended = has_ended_by(open_process(hook), signals, said, std::chrono::steady_clock::now() + timeout);
  if (!has_ended) ::kill(-hook, SIGKILL);
  const int status = end_hook(hook);
  if (!has_ended) signals.heed();
  if (errno_value != 0) throw SysError("cannot start it", errno_value);
  if (!has_ended) {
    throw Error(fmt::format("it took longer than {} s and was stopped", timeout.count()),
                "run.hook_timeout gives hooks more time");
  }
  if (WIFSIGNALED(status)) throw Error(fmt::format("it was ended by signal {}", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) throw Error(fmt::format("it ended with exit code {}", WEXITSTATUS(status)));
}

std::string process_number_on_host() {
  std::array<char, 32> pid{};
  const ssize_t size = ::readlink("/proc/self", pid.data(), pid.size());
  return size > 0 ? std::string(pid.data(), static_cast<std::size_t>(size)) : std::to_string(::getpid());
}

}  // namespace mlctr::runtime
