// The session's soft limits (getrlimit(2), `ulimit -S`). mlctr raises its own where they are too low for it and the
// hard ones allow, and gives the programs that it starts back what the user gave it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mlctr {

/// Call it first of all: the stack of a few pages that a session may have is soon used up. Again: does nothing more.
void raise_soft_limits();

/// Throws Error, with what to type, where even the hard limit of the stack is too low.
void check_hard_limits();

/// Back to what the session has, for a program that comes next: exec soon, there may be no more stack left than is
/// used.
void restore_soft_limits();

/// For a fork that failed; its hint names the limit.
SysError fork_error(std::string_view action, int errno_value);

/// What to type where a file can't be opened as too many are (EMFILE).
std::string too_many_files_hint();

}  // namespace mlctr
