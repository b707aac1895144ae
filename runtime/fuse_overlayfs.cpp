#include "runtime/fuse_overlayfs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/fuse_mount.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

constexpr const char* k_hint = "the package fuse-overlayfs has it; run.rootfs=copy does without";

// Where distributions put it; the user's PATH is for the user's programs.
std::filesystem::path find_program() {
  for (const char* path : {"/usr/bin/fuse-overlayfs", "/usr/local/bin/fuse-overlayfs", "/bin/fuse-overlayfs"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

struct Command {
  std::string program, options, mountpoint;
  std::filesystem::path scratch;
  int fuse, output;
};

// Keys, hang-ups and signals for all of a user's processes are for the programs in the container; when those have
// ended, this one ends by itself, as the container's server does.
void leave_terminal(const Command& command) {
  ::setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP}) std::signal(signal, SIG_IGN);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(command.output, STDOUT_FILENO);
  ::dup2(command.output, STDERR_FILENO);
}

// In the grandchild. What comes back is the errno of what failed.
[[noreturn]] void become_program(const Command& command, int report) {
  leave_terminal(command);
  std::array<const char*, 6> arguments{"fuse-overlayfs",           "-f",   "-o", command.options.c_str(),
                                       command.mountpoint.c_str(), nullptr};
  std::array<const char*, 2> environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  if (::unshare(CLONE_NEWNS) == 0 && ::chdir(command.scratch.c_str()) == 0 && ::fcntl(command.fuse, F_SETFD, 0) == 0) {
    ::execve(command.program.c_str(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
  }
  const int errno_value = errno;
  [[maybe_unused]] const auto written = ::write(report, &errno_value, sizeof errno_value);
  ::_exit(1);
}

// Nobody's child, as the container's program must not find one that it did not start. Returns once the program runs in
// its own mount namespace.
void start(const Command& command) {
  Pipe report = make_pipe();
  const pid_t child = ::fork();
  if (child < 0) throw SysError("cannot start fuse-overlayfs");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) become_program(command, report.write_end.get());
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  report.write_end.reset();
  int errno_value = reap(child) == 0 ? 0 : EAGAIN;
  // Its end is that of the close-on-exec descriptor: the program runs.
  while (::read(report.read_end.get(), &errno_value, sizeof errno_value) < 0 && errno == EINTR) {
  }
  if (errno_value != 0) throw SysError("cannot start fuse-overlayfs", errno_value);
}

std::string last_line(int output) {
  std::string text(4096, '\0');
  text.resize(read_at(output, std::as_writable_bytes(std::span(text)), 0, "fuse-overlayfs's output"));
  text.erase(text.find_last_not_of('\n') + 1);
  return printable(text.substr(text.find_last_of('\n') + 1), 400);
}

}  // namespace

bool is_fuse_overlayfs_installed() {
  return !find_program().empty();
}

Fd mount_fuse_overlay(const FuseOverlay& overlay, const Identity& identity) {
  const std::filesystem::path program = find_program();
  if (program.empty()) throw Error("cannot find fuse-overlayfs", k_hint);
  FuseMount made = new_fuse_mount(identity, FuseAccess::read_write);
  const Fd output(::memfd_create("fuse-overlayfs", MFD_CLOEXEC));
  if (!output) throw SysError("cannot make a memory file");
  start({.program = program,
         .options = fmt::format("lowerdir=image,upperdir={},workdir={}", overlay.upper, overlay.work),
         .mountpoint = fmt::format("/dev/fd/{}", made.device.get()),
         .scratch = overlay.scratch,
         .fuse = made.device.get(),
         .output = output.get()});
  made.device.reset();  // the program's alone now: if it ends, whoever waits for an answer gets an error
  struct stat status {};
  if (::fstatat(made.mount.get(), "", &status, AT_EMPTY_PATH | AT_NO_AUTOMOUNT) != 0 ||
      ::faccessat(made.mount.get(), ".", R_OK, 0) != 0) {
    throw Error(fmt::format("fuse-overlayfs ended at once: {}", last_line(output.get())), k_hint);
  }
  return std::move(made.mount);
}

}  // namespace mlctr::runtime
