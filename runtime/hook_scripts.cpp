#include "runtime/hook_scripts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <map>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/environment_file.hpp"
#include "runtime/fstab.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::uint64_t k_max_file_bytes = 1u << 20;
constexpr const char* k_place_bytes = "8m";

using Variables = std::map<std::string, std::string>;

Variables variables_in(std::string_view text) {
  Variables variables;
  for (const std::string& entry : parse_environment_file(text)) {
    const std::size_t equals = entry.find('=');
    variables[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return variables;
}

// The two files, on a tmpfs that only this mount namespace has: nothing is left of it whoever is killed.
class Exchange {
 public:
  explicit Exchange(const std::filesystem::path& place)
      : environment_(place / "environment"), mounts_(place / "fstab") {
    attach_tree(new_filesystem("tmpfs", {{"source", "mlctr"}, {"mode", "0700"}, {"size", k_place_bytes}},
                               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
                AT_FDCWD, place.string());
  }

  const std::filesystem::path& environment() const noexcept { return environment_; }
  const std::filesystem::path& mounts() const noexcept { return mounts_; }

  static void write(const std::filesystem::path& file, std::string_view text) {
    const Fd fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write_all(fd.get(), std::as_bytes(std::span(text)), file.string());
  }

  // Nothing but a file is read: who put a FIFO in its place would hold up the start.
  static std::string read(const std::filesystem::path& file) {
    const Fd fd = open_regular_file(file);
    if (file_size(fd.get(), file.string()) > k_max_file_bytes) {
      throw Error(fmt::format("what is in {} is more than 1 MiB", file.string()));
    }
    std::string text(k_max_file_bytes, '\0');
    text.resize(read_at(fd.get(), std::as_writable_bytes(std::span(text)), 0, file.string()));
    return text;
  }

 private:
  std::filesystem::path environment_, mounts_;
};

// A value with a line end in it has no place in the file; the program has it all the same.
std::string environment_text(const Environment& environment) {
  std::string text;
  for (const auto& [name, variable] : environment.variables()) {
    if (variable.value.find('\n') == std::string::npos) text += fmt::format("{}={}\n", name, variable.value);
  }
  return text;
}

void add_edits(std::vector<EnvironmentEdit>& edits, const Variables& before, const Variables& after,
               const std::string& origin) {
  for (const auto& [name, value] : after) {
    const auto known = before.find(name);
    if (known == before.end() || known->second != value) edits.push_back({name, value, origin});
  }
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) edits.push_back({name, std::nullopt, origin});
  }
}

// As /proc has it, which is the host's still: in a pid namespace of its own getpid() is 1.
std::string own_pid() {
  std::array<char, 32> pid{};
  const ssize_t size = ::readlink("/proc/self", pid.data(), pid.size());
  return size > 0 ? std::string(pid.data(), static_cast<std::size_t>(size)) : std::to_string(::getpid());
}

std::vector<std::string> environment_of_hooks(const HookScripts& hooks, const Exchange& exchange,
                                              const std::filesystem::path& rootfs) {
  std::map<std::string, std::string, std::less<>> variables;
  for (const std::string& entry : hooks.variables) {
    const std::size_t equals = entry.find('=');
    variables[entry.substr(0, equals)] = entry;
  }
  const std::array<std::pair<const char*, std::string>, 4> contract{{{"PID", own_pid()},
                                                                     {"ROOTFS", rootfs.string()},
                                                                     {"ENVIRON", exchange.environment().string()},
                                                                     {"MOUNTS", exchange.mounts().string()}}};
  for (const auto& [name, value] : contract) {
    for (const char* owner : {"ENROOT", "MLCTR"}) {
      variables[fmt::format("{}_{}", owner, name)] = fmt::format("{}_{}={}", owner, name, value);
    }
  }
  std::vector<std::string> entries;
  for (auto& [name, entry] : variables) entries.push_back(std::move(entry));
  return entries;
}

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
  std::vector<char*> direct, through_shell, environment;
};

[[noreturn]] void become_hook(const Arguments& arguments, const HeldSignals& signals, int null, int report) {
  ::setpgid(0, 0);
  signals.restore();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_DFL);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
  keep_capabilities();
  if (::chdir("/") == 0) ::execve(arguments.direct[0], arguments.direct.data(), arguments.environment.data());
  // A script without a #! line, as bash runs one.
  if (errno == ENOEXEC) ::execve("/bin/sh", arguments.through_shell.data(), arguments.environment.data());
  const int errno_value = errno;
  [[maybe_unused]] const auto written = ::write(report, &errno_value, sizeof errno_value);
  ::_exit(127);
}

Arguments make_arguments(const std::filesystem::path& file, const std::vector<std::string>& environment) {
  static char shell[] = "sh";
  char* path = const_cast<char*>(file.c_str());
  Arguments arguments{.direct = {path, nullptr}, .through_shell = {shell, path, nullptr}, .environment = {}};
  for (const std::string& entry : environment) arguments.environment.push_back(const_cast<char*>(entry.c_str()));
  arguments.environment.push_back(nullptr);
  return arguments;
}

// False where it still runs at the deadline, or a signal came.
bool has_ended_by(const Fd& process, const HeldSignals& signals, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    std::array<pollfd, 2> wanted{{{process.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    const int ready = ::poll(wanted.data(), wanted.size(), std::max(0, static_cast<int>(left.count())));
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
  int status = 0;
  while (::waitpid(hook, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void run_hook(const std::filesystem::path& file, const std::vector<std::string>& environment,
              std::chrono::seconds timeout) {
  const Arguments arguments = make_arguments(file, environment);
  const Fd null = open_file("/dev/null", O_RDWR);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw SysError("cannot make a pipe");
  const Fd report(ends[0]);
  Fd reported(ends[1]);
  const HeldSignals signals;
  const pid_t hook = ::fork();
  if (hook < 0) throw SysError("cannot start a process");
  if (hook == 0) become_hook(arguments, signals, null.get(), reported.get());
  reported.reset();
  ::setpgid(hook, hook);  // whoever is first
  int errno_value = 0;
  while (::read(report.get(), &errno_value, sizeof errno_value) < 0 && errno == EINTR) {
  }

  const bool has_ended = has_ended_by(open_process(hook), signals, std::chrono::steady_clock::now() + timeout);
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

std::vector<Mount> mounts_in(const std::string& text, const std::filesystem::path& file,
                             const std::filesystem::path& rootfs) {
  FstabMounts found = plan_fstab(text, {},
                                 {.file = fmt::format("mounts of the hook {}", printable(file.string(), 4096)),
                                  .rootfs = rootfs,
                                  .directory = "/"});
  std::vector<Mount> mounts = std::move(found.before_hooks);
  for (Mount& mount : found.after_hooks) mounts.push_back(std::move(mount));
  return mounts;
}

}  // namespace

HookResults run_hooks(const HookScripts& hooks, const std::filesystem::path& rootfs) {
  HookResults results;
  if (hooks.files.empty()) return results;
  const Exchange exchange(hooks.place);
  std::string text = environment_text(hooks.environment);
  Exchange::write(exchange.environment(), text);
  const std::vector<std::string> environment = environment_of_hooks(hooks, exchange, rootfs);
  for (const std::filesystem::path& file : hooks.files) {
    const std::string name = printable(file.string(), 4096);
    try {
      Exchange::write(exchange.mounts(), "");
      run_hook(file, environment, hooks.timeout);
      const std::string changed = Exchange::read(exchange.environment());
      add_edits(results.environment, variables_in(text), variables_in(changed), name);
      text = changed;
      for (Mount& mount : mounts_in(Exchange::read(exchange.mounts()), file, rootfs)) {
        results.mounts.push_back(std::move(mount));
      }
    } catch (Error& error) {
      error.add_context(fmt::format("the hook {} failed", name));
      throw;
    }
  }
  return results;
}

}  // namespace mlctr::runtime
