#include "runtime/background.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace mlctr::runtime {

void leave_session(const char* process_name) {
  ::setsid();
  ::prctl(PR_SET_NAME, process_name);
  if (::chdir("/") != 0) throw SysError("cannot change to /");
}

void ignore_signals() {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    switch (signal) {
      case SIGABRT:
      case SIGBUS:
      case SIGCHLD:
      case SIGFPE:
      case SIGILL:
      case SIGSEGV:
      case SIGSYS:
      case SIGTRAP:
        break;
      default:
        std::signal(signal, SIG_IGN);  // refused for SIGKILL, SIGSTOP and glibc's own
    }
  }
}

void close_inherited_descriptors() {
  std::vector<int> inherited;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const std::string name = entry.path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    const int flags = ::fcntl(fd, F_GETFD);
    if (fd > STDERR_FILENO && flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  for (const int fd : inherited) ::close(fd);
}

void silence() {
  const Fd null = open_file("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

}  // namespace mlctr::runtime
