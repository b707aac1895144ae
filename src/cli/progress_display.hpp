// Shows on standard error how a long action goes: lines drawn over on a terminal, a plain line every few seconds
// elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/progress.hpp"
#include "cli/progress_sampler.hpp"

namespace mlctr::cli {

enum class Verbosity { normal, quiet };

struct DisplayOptions {
  std::string action;  ///< "pull python:3.8": what plain lines begin with
  Direction direction = Direction::fetch;
  int fd = 2;
  Verbosity verbosity = Verbosity::normal;
  const std::atomic<bool>* is_hushed = nullptr;  ///< while true, no plain line tells of work that has not begun
  std::chrono::milliseconds frame_interval{100};
  std::chrono::milliseconds line_interval{5000};
};

class ProgressDisplay {
 public:
  /// Watches `board`, which must outlive it, from a thread of its own.
  ProgressDisplay(ProgressBoard& board, DisplayOptions options);
  /// Ends the display; on a terminal nothing of it stays but the notes.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

 private:
  /// How the board is shown: live, plain or not at all.
  class View;
  class LiveView;
  class PlainView;
  static std::unique_ptr<View> make_view(const DisplayOptions& options);
  void run();
  std::vector<std::string> take_notes();

  ProgressBoard& board_;
  DisplayOptions options_;
  std::unique_ptr<View> view_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
  std::jthread thread_;
};

}  // namespace mlctr::cli
