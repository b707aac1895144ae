// A ProgressBoard as it stands at one moment, with what only the course of time tells: rates and what is left of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "cli/rate_meter.hpp"

namespace mlctr::cli {

/// What a line of progress can say. Download and conversion run side by side: "converting" is what is left to do once
/// all bytes are there.
enum class Activity { waiting, waiting_for_other, downloading, converting, writing, done, reused };

/// Where the bytes go, which the words depend on.
enum class Direction { fetch, push };

struct ItemSnapshot {
  std::string label;  ///< safe to print
  Activity activity = Activity::waiting;
  std::uint64_t total_bytes = 0;  ///< 0: unknown
  std::uint64_t downloaded_bytes = 0;
  std::uint64_t converted_bytes = 0;
  std::optional<double> rate;  ///< bytes a second, of what holds the item up: the download, else the conversion
  std::optional<std::chrono::duration<double>> time_left;
};

struct ProgressSnapshot {
  std::vector<ItemSnapshot> items;  ///< in the board's order
  std::size_t layers = 0;
  std::size_t layers_done = 0;  ///< reused ones included
  std::size_t layers_reused = 0;
  Direction direction = Direction::fetch;
  ItemSnapshot total;  ///< of the layers this process fetches
};

class ProgressSampler {
 public:
  ProgressSnapshot sample(const ProgressBoard& board, RateMeter::Clock::time_point now);

 private:
  struct Meters {
    RateMeter download, conversion;
  };
  ItemSnapshot sample_item(const ProgressItem& item, Meters& meters, RateMeter::Clock::time_point now);
  void add_to_total(ProgressSnapshot& snapshot, const ProgressItem& item, const ItemSnapshot& view);
  void finish_total(ProgressSnapshot& snapshot, RateMeter::Clock::time_point now);

  std::map<std::shared_ptr<ProgressItem>, Meters> meters_;
  Meters total_meters_;
  std::uint64_t fresh_bytes_ = 0;  // downloaded by this run, while one sample is made
};

}  // namespace mlctr::cli
