// Bytes a second over the last few seconds of a counter that is looked at now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace mlctr::cli {

class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;

  /// `total` is the counter as it stands. A counter that went back (a transfer began anew) starts a new window.
  void update(Clock::time_point now, std::uint64_t total);

  /// Absent until there is enough to tell (half a second); 0 where nothing has moved in the window.
  std::optional<double> bytes_per_second() const;

 private:
  struct Sample {
    Clock::time_point time;
    std::uint64_t total;
  };
  std::deque<Sample> samples_;
};

}  // namespace mlctr::cli
