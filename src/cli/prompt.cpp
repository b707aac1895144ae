#include "cli/prompt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {
namespace {

constexpr std::size_t k_longest_answer = 65536;  // identity tokens are long, but not longer

// Waits until there is something to read; a stop ends the wait although the signal went to another thread.
void wait_for_input(int terminal, const std::stop_token& stop) {
  const Fd stopped(::eventfd(0, EFD_CLOEXEC));
  if (!stopped) throw SysError("cannot wait for an answer");
  const std::stop_callback wake(stop, [&] { ::eventfd_write(stopped.get(), 1); });
  for (;;) {
    std::array<pollfd, 2> polled{{{terminal, POLLIN, 0}, {stopped.get(), POLLIN, 0}}};
    const int ready = ::poll(polled.data(), polled.size(), -1);
    if (ready < 0 && errno != EINTR) throw SysError("cannot wait for an answer");
    if (stop.stop_requested()) throw Cancelled();
    if (ready > 0 && polled[0].revents != 0) return;
  }
}

enum class End { line, input };

// Up to the end of a line or of the input; reads in small parts, as a pipe's rest may be for someone else.
End read_line(int fd, std::string& line, const std::function<void()>& wait) {
  char byte = 0;
  while (line.size() < k_longest_answer) {
    wait();
    const ssize_t got = ::read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SysError("cannot read the answer");
    if (got == 0) return End::input;
    if (byte == '\n') return End::line;
    line += byte;
  }
  throw Error("the answer is longer than a line can be");
}

}  // namespace

std::string ask(std::string_view question, Typing typing, std::stop_token stop) {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) {
    throw UsageError("cannot ask for the password: there is no terminal",
                     "give it on standard input: mlctr login --username USER --password-stdin REGISTRY");
  }
  std::optional<HiddenTyping> hidden;
  if (typing == Typing::hidden) hidden.emplace(terminal.get());
  write_to_terminal(terminal.get(), question);
  std::string line;
  try {
    const End end = read_line(terminal.get(), line, [&] { wait_for_input(terminal.get(), stop); });
    if (end == End::input && line.empty()) throw Cancelled();
  } catch (const Cancelled&) {
    write_to_terminal(terminal.get(), "\n");
    throw;
  }
  return line;
}

std::string read_line_of_standard_input() {
  std::string line;
  read_line(STDIN_FILENO, line, [] {});
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace mlctr::cli
