#include "cli/rate_meter.hpp"

namespace mlctr::cli {
namespace {

// Long enough that a rate does not dance, short enough that a stall shows.
constexpr std::chrono::seconds k_window{4};
constexpr std::chrono::milliseconds k_enough{500};

}  // namespace

void RateMeter::update(Clock::time_point now, std::uint64_t total) {
  if (!samples_.empty() && total < samples_.back().total) samples_.clear();
  samples_.push_back({now, total});
  while (samples_.size() > 2 && now - samples_[1].time >= k_window) samples_.pop_front();
}

std::optional<double> RateMeter::bytes_per_second() const {
  if (samples_.empty()) return std::nullopt;
  const std::chrono::duration<double> span = samples_.back().time - samples_.front().time;
  if (span < k_enough) return std::nullopt;
  return static_cast<double>(samples_.back().total - samples_.front().total) / span.count();
}

}  // namespace mlctr::cli
