// The signals that mlctr ignores for itself: a closed pipe and a file over the limit are answers of write(2), not
// deaths. Programs get them as the session has them.
#pragma once

namespace mlctr {

/// SIGPIPE and SIGXFSZ. Call it once, before anything is written.
void ignore_write_signals();

/// As they were before, for a program that comes next.
void restore_write_signals();

}  // namespace mlctr
