// The terminal this process talks on: what it can do, and what we change on it, so that it can be put back from
// anywhere.
#pragma once

#include <termios.h>

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace mlctr::cli {

struct TerminalSize {
  unsigned columns = 80;
  unsigned rows = 24;
  bool operator==(const TerminalSize&) const = default;
};

/// As it is now; $COLUMNS and $LINES, then 80x24, where the terminal does not say.
TerminalSize terminal_size(int fd);

/// Whether text on `fd` can be drawn over: a terminal whose TERM is neither "dumb" nor missing.
bool is_drawable(int fd);

/// Whether we may write to the terminal `fd` without disturbing another job of its shell.
bool is_foreground(int fd);

enum class Glyphs { unicode, ascii };
/// Of the locale; call setlocale(LC_CTYPE, "") first.
Glyphs terminal_glyphs();

enum class Colour { on, off };
/// Off where $NO_COLOR is set and not empty (no-color.org), and off a terminal.
Colour terminal_colour(int fd);

/// What a terminal does with lines that no longer fit when it gets narrower.
enum class NarrowLines { rewrapped, cut };
NarrowLines narrow_lines();

/// Whether someone sits there: standard input and error are a terminal, whatever becomes of the output.
bool has_terminal();

/// Writes all of `text`, whatever happens: a terminal that is gone is no reason to fail what it only shows.
void write_to_terminal(int fd, std::string_view text) noexcept;

/// While it lives, frames that begin with k_hide may hide the cursor of `fd`; then it is shown again. One at a time.
/// `clear_drawn`, called with the drawing lock held, gives the bytes that remove what is drawn: a suspension leaves
/// nothing half-finished on the screen.
class HiddenCursor {
 public:
  /// Part of every frame, as the cursor may have come back (fg after bg) without our being told.
  static constexpr std::string_view k_hide = "\x1b[?25l";

  HiddenCursor(int fd, std::function<std::string()> clear_drawn);
  ~HiddenCursor();
  HiddenCursor(const HiddenCursor&) = delete;
  HiddenCursor& operator=(const HiddenCursor&) = delete;
};

/// Turns the echo of what is typed on `fd` off while it lives, and throws away what was typed before. One at a time.
class HiddenTyping {
 public:
  explicit HiddenTyping(int fd);
  ~HiddenTyping();
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;
};

/// Puts everything back that is changed now. Waits for nothing: for the moment before an exit that can't unwind.
void restore_terminal() noexcept;

/// Held while drawing, so that a suspension (^Z) does not cut a frame in two.
std::unique_lock<std::mutex> drawing_lock();

/// While it lives the terminal is as we found it, and nobody draws: for the time that ^Z stops this process.
class RestoredTerminal {
 public:
  RestoredTerminal();
  ~RestoredTerminal();
  RestoredTerminal(const RestoredTerminal&) = delete;
  RestoredTerminal& operator=(const RestoredTerminal&) = delete;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace mlctr::cli
