// What a build tells whoever watches it. Called by one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace mlctr::build {

enum class StepEnd { cached, built, failed };

class BuildWatcher {
 public:
  virtual ~BuildWatcher() = default;

  /// `label`: "[build 2/4] RUN make". Steps run side by side: `step` tells them apart.
  virtual void started(std::size_t step, const std::string& label) = 0;
  /// What its programs say, as it comes: any bytes.
  virtual void said(std::size_t step, std::string_view text) = 0;
  virtual void ended(std::size_t step, StepEnd end, std::chrono::steady_clock::duration time) = 0;
  /// A line worth reading.
  virtual void note(const std::string& text) = 0;
  /// Several times a second, while steps run.
  virtual void tick() = 0;
};

}  // namespace mlctr::build
