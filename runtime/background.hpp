// A process that goes on behind a container's programs: nothing of the user's terminal, session or pipes is its.
#pragma once

namespace mlctr::runtime {

/// In a forked process: a session of its own, in "/", under this name in the process table.
void leave_session(const char* process_name);

/// But those that tell of a mistake of its own, or of a child. A signal for all of a user's processes, or of a job's
/// (scancel --signal=USR1), is for the programs in the container: it ends those, and so this one, in this order; the
/// other would make their last reads fail.
void ignore_signals();

/// Closes every descriptor without O_CLOEXEC but the standard ones. mlctr's own all have it; what has not was inherited
/// (a shell's pipe), and whoever waits for its end must not wait for this process's.
void close_inherited_descriptors();

/// Standard input, output and error lead to /dev/null.
void silence();

}  // namespace mlctr::runtime
