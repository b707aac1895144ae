// The lock of a named container, a file in its directory: whoever holds it runs the container, and nobody else starts
// it, wherever their runtime directories are. The kernel frees it when the last of the container's servers is gone,
// however that ends.
//
//   byte 0  locked by the container's servers, all through one open file
//   byte 1  locked by the one of them that serves
//   text    "PID DIRECTORY\n": who serves, and where the container's socket is; empty where it ended well
//
// Source: fcntl(2), "Open file description locks".
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>

#include "base/fd.hpp"

namespace mlctr::runtime {

/// Absent: others hold it. Empty: nothing can be locked here (no such directory, a filesystem without locks).
std::optional<Fd> try_lock_run(const std::filesystem::path& file);

/// Waits until none of the other servers serves any more. The turn lasts as long as what is returned.
Fd wait_for_turn(const Fd& run_lock);

struct RunPlace {
  pid_t server = 0;  ///< in the pid namespace of who wrote it
  std::filesystem::path sockets;
};

/// Failures are nobody's concern: the container runs all the same.
void write_run_place(const Fd& run_lock, const RunPlace& place);
void clear_run_place(const Fd& run_lock);

/// Absent where the container never ran, or ended well.
struct Run {
  bool is_held;  ///< else its servers were killed
  RunPlace place;
};
std::optional<Run> look_at_run(const std::filesystem::path& file);

}  // namespace mlctr::runtime
