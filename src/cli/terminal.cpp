#include "cli/terminal.hpp"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace mlctr::cli {
namespace {

constexpr std::string_view k_show_cursor = "\x1b[?25h";
// From the line the cursor rests on: what comes next must not mix with it.
constexpr std::string_view k_clear_from_here = "\r\x1b[J";

// A process has one terminal, and a signal may end it at any moment: so what is changed on it is kept here, once.
std::atomic<int> cursor_hidden_on{-1};
std::atomic<int> typing_hidden_on{-1};
termios modes_before{};  // valid while typing_hidden_on is
std::mutex drawing;
std::function<std::string()> clear_drawn;  // under `drawing`

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here changes the environment
  return value == nullptr ? std::string_view() : std::string_view(value);
}

unsigned number_or(std::string_view text, unsigned otherwise) {
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() && value > 0 ? value : otherwise;
}

void hide_typing(int fd) {
  termios modes = modes_before;
  modes.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  modes.c_lflag |= ICANON | ISIG | ECHONL;  // the newline stays: what comes next starts on its own line
  ::tcsetattr(fd, TCSAFLUSH, &modes);
}

}  // namespace

TerminalSize terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) return {size.ws_col, size.ws_row};
  return {number_or(environment("COLUMNS"), 80), number_or(environment("LINES"), 24)};
}

bool is_drawable(int fd) {
  const std::string_view term = environment("TERM");
  return ::isatty(fd) == 1 && !term.empty() && term != "dumb";
}

bool is_foreground(int fd) {
  const pid_t group = ::tcgetpgrp(fd);
  return group < 0 || group == ::getpgrp();  // unknown: a terminal that is not our controlling one has no jobs
}

Glyphs terminal_glyphs() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the locale is set once, in main
  return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0 ? Glyphs::unicode : Glyphs::ascii;
}

Colour terminal_colour(int fd) {
  return is_drawable(fd) && environment("NO_COLOR").empty() ? Colour::on : Colour::off;
}

NarrowLines narrow_lines() {
  // xterm and the kernel's console cut; about everything else (VTE, tmux, kitty, iTerm2, konsole, foot …) wraps anew.
  const bool cuts = !environment("XTERM_VERSION").empty() || environment("TERM") == "linux";
  return cuts ? NarrowLines::cut : NarrowLines::rewrapped;
}

bool has_terminal() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
}

void write_to_terminal(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

HiddenCursor::HiddenCursor(int fd, std::function<std::string()> clear) {
  const std::unique_lock lock = drawing_lock();
  clear_drawn = std::move(clear);
  cursor_hidden_on = fd;
}

HiddenCursor::~HiddenCursor() {
  const int fd = cursor_hidden_on.exchange(-1);
  if (fd >= 0) write_to_terminal(fd, k_show_cursor);
}

HiddenTyping::HiddenTyping(int fd) {
  if (::tcgetattr(fd, &modes_before) != 0) return;
  typing_hidden_on = fd;
  hide_typing(fd);
}

HiddenTyping::~HiddenTyping() {
  const int fd = typing_hidden_on.exchange(-1);
  if (fd >= 0) ::tcsetattr(fd, TCSAFLUSH, &modes_before);
}

void restore_terminal() noexcept {
  const int cursor_fd = cursor_hidden_on.load();
  if (cursor_fd >= 0) {
    write_to_terminal(cursor_fd, k_clear_from_here);
    write_to_terminal(cursor_fd, k_show_cursor);
  }
  const int typing_fd = typing_hidden_on.load();
  if (typing_fd >= 0) ::tcsetattr(typing_fd, TCSANOW, &modes_before);
}

std::unique_lock<std::mutex> drawing_lock() {
  return std::unique_lock(drawing);
}

RestoredTerminal::RestoredTerminal() : lock_(drawing_lock()) {
  if (const int fd = cursor_hidden_on.load(); fd >= 0 && is_foreground(fd)) write_to_terminal(fd, clear_drawn());
  restore_terminal();
}

RestoredTerminal::~RestoredTerminal() {
  // After `bg` the terminal is the shell's.
  if (const int fd = typing_hidden_on.load(); fd >= 0 && is_foreground(fd)) hide_typing(fd);
}

}  // namespace mlctr::cli
