// What a command is to start from: what is here already, else what a registry has.
#pragma once

#include <functional>
#include <string>

#include "app/pull_image.hpp"
#include "app/run_target.hpp"
#include "cli/progress_display.hpp"
#include "image/platform.hpp"

namespace mlctr::cli {

struct PullChoice {
  std::string policy = "missing";  ///< missing, newer, always, never
  Verbosity verbosity = Verbosity::normal;
  std::string action{};  ///< what lines of progress begin with; empty: "pull IMAGE"
  std::function<std::string(const std::string& host)> tell_of_wait{};  ///< PullRequest's
  const std::atomic<bool>* is_hushed = nullptr;                        ///< DisplayOptions'
  std::function<void(const PullResult&)> tell_of_end{};                ///< of a pull
};

/// A container or a file is what it is; an image is pulled where the policy says so. Throws Error, StoppedBySignal.
RunTarget find_or_pull_target(const Configuration& configuration, const std::string& text, const PullChoice& choice);

/// The image that the text means on a platform; on this machine it means what it meant.
BaseImage find_or_pull_image_for(const Configuration& configuration, const std::string& text, const Platform& platform,
                                 const PullChoice& choice);

/// The same of images alone.
BaseImage find_or_pull_image(const Configuration& configuration, const std::string& text, const PullChoice& choice);

}  // namespace mlctr::cli
