#include "runtime/forked.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/soft_limits.hpp"
#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t k_max_said_bytes = 1u << 20;
constexpr std::chrono::seconds k_patience_with_forked{1};  // one that waits in the kernel (NFS) may never end

[[noreturn]] void be_child(const std::function<void(const Say&)>& work, int pipe, std::chrono::seconds patience) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);                    // lost when ids change (prctl(2)), hence also
  ::alarm(static_cast<unsigned>(patience.count()) + 1);  // for who outlives mlctr
  work([pipe](std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(pipe, text.data(), text.size());
      if (put < 0 && errno != EINTR) return;
      if (put > 0) text.remove_prefix(static_cast<std::size_t>(put));
    }
  });
  ::_exit(0);
}

void drain(int pipe, std::string& into) {
  std::array<char, 4096> buffer;
  for (ssize_t got; into.size() < k_max_said_bytes && (got = ::read(pipe, buffer.data(), buffer.size())) > 0;) {
    into.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

ForkedResult run_forked(const std::function<void(const Say&)>& work, std::chrono::seconds patience) {
  auto [reader, writer] = make_pipe();
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  const pid_t child = ::fork();
  if (child < 0) throw fork_error("cannot start a process", errno);
  if (child == 0) be_child(work, writer.get(), patience);
  writer.reset();
  const Fd process = open_process(child);

  ForkedResult result;
  const auto deadline = Clock::now() + patience;
  bool has_ended = false;
  // Its end counts, not the pipe's: a server that it left behind may have that too.
  for (bool is_read = false; !has_ended && Clock::now() < deadline;) {
    std::array<pollfd, 2> wanted{{{process.get(), POLLIN, 0}, {is_read ? -1 : reader.get(), POLLIN, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (::poll(wanted.data(), wanted.size(), static_cast<int>(left) + 1) < 0) continue;  // EINTR
    drain(reader.get(), result.said);
    is_read = (wanted[1].revents & POLLHUP) != 0;
    has_ended = wanted[0].revents != 0;
  }
  if (!has_ended) ::kill(child, SIGKILL);
  if (!has_ended && !wait_for_end(process, k_patience_with_forked)) return result;
  const int status = reap(child);
  if (!has_ended) return result;
  if (WIFSIGNALED(status))
    result.end = Killed{WTERMSIG(status)};
  else
    result.end = Exited{WEXITSTATUS(status)};
  return result;
}

}  // namespace mlctr::runtime
