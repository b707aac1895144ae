// Waits for a program in the place of whoever started mlctr: signals go on to it, its end is reported as its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <variant>

namespace mlctr::runtime {

struct Exited {
  int code = 0;
};
struct Killed {
  int signal_number = 0;
};
using ProgramEnd = std::variant<Exited, Killed>;

/// As a shell tells it: 128 + the signal's number.
int shell_exit_code(const ProgramEnd& end);

/// Forks; `child` runs in the new process and must not return. The parent passes on the signals that were sent to it
/// alone (those of a terminal the program has got as well), stops and goes on with the program, reaps whatever it
/// inherits, and returns when the program has ended. Call it in a single-threaded process.
ProgramEnd supervise(const std::function<void()>& child);

}  // namespace mlctr::runtime
