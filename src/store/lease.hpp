// A lock for filesystems whose own locks can't be trusted: a file that its holder keeps changing, and that others take
// over once they have seen it stand still. Time is measured by each observer's own monotonic clock, so clocks may
// differ.
//
//   <path>.lease/<generation>      "held <counter, 20 digits> HOST PID BOOT-ID\n", or "free\n"
//
// The highest generation is the lock's state; it is never removed while someone may look, so numbers only grow. Whoever
// finds it free or still creates the next one with O_EXCL: of many, exactly one succeeds. An observer that slept on an
// old finding may create a number that is not the highest any more; it looks again after creating, sees that, and backs
// off.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "store/lock_attempt.hpp"

namespace mlctr {

struct LeaseTimes {
  std::chrono::milliseconds renewal{5'000};
  std::chrono::milliseconds expiry{30'000};  ///< six renewals missed: dead, or cut off from the filesystem
  std::chrono::seconds abandonment{3'600};   ///< by the filesystem's times: dead without having been watched
};

/// One process's view of a lease while it waits for it.
class LeaseWatch {
 public:
  explicit LeaseWatch(std::filesystem::path directory, LeaseTimes times = {});

  /// One try: call it again and again; it remembers since when the lease stands still.
  LockAttempt attempt();

 private:
  struct State {
    std::uint64_t generation = 0;  ///< 0: nobody ever held it
    std::string content;
    bool operator==(const State&) const = default;
  };
  State read_state() const;
  bool is_dead(const State& state);
  std::unique_ptr<Lock::Held> claim(std::uint64_t generation) const;

  std::filesystem::path directory_;
  LeaseTimes times_;
  State last_;
  std::chrono::steady_clock::time_point last_changed_;
};

/// Whether someone holds the lease now; one abandoned long ago counts as free.
bool is_leased(const std::filesystem::path& directory);

/// Removes a lease's directory where it has been free for a day (nobody still acts on an older finding).
void remove_idle_lease(const std::filesystem::path& directory);

}  // namespace mlctr
