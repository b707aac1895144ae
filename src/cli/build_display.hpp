// Shows on standard error how a build goes: a line for each step that has ended; on a terminal also what runs now, with
// the last lines of what it says.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "build/build_watcher.hpp"
#include "cli/live_screen.hpp"
#include "cli/progress_display.hpp"
#include "cli/styled_line.hpp"

namespace mlctr::cli {

/// lines: for a file or a pipe. everything: all that the steps say, too.
enum class BuildProgress { live, lines, everything, quiet };

/// "auto", "plain", "tty", "quiet" as --progress takes them. Throws UsageError.
BuildProgress parse_build_progress(const std::string& text, Verbosity verbosity);

class BuildDisplay final : public build::BuildWatcher {
 public:
  explicit BuildDisplay(BuildProgress progress) : progress_(progress) {}
  ~BuildDisplay() override { clear(); }
  BuildDisplay(const BuildDisplay&) = delete;
  BuildDisplay& operator=(const BuildDisplay&) = delete;

  void started(std::size_t step, const std::string& label) override;
  void said(std::size_t step, std::string_view text) override;
  void ended(std::size_t step, build::StepEnd end, std::chrono::steady_clock::duration time) override;
  void note(const std::string& text) override;
  void tick() override;

  std::size_t cached_steps() const noexcept { return cached_; }
  std::size_t built_steps() const noexcept { return built_; }

 private:
  struct Running {
    std::string label;
    std::string said;
    std::chrono::steady_clock::time_point since;
  };

  void show(const std::vector<std::string>& above);
  void show(const std::string& line) { show(std::vector{line}); }
  std::vector<StyledLine> frame() const;
  void clear();

  const BuildProgress progress_;
  LiveScreen screen_{narrow_lines()};
  std::map<std::size_t, Running> running_;
  std::size_t cached_ = 0, built_ = 0;
};

}  // namespace mlctr::cli
