// A pull as a person watches it.
#pragma once

#include <stop_token>
#include <string>

#include "app/pull_image.hpp"
#include "cli/progress_display.hpp"

namespace mlctr::cli {

PullResult pull_with_progress(const PullRequest& request, const Configuration& configuration,
                              const DisplayOptions& display, std::stop_token stop);

/// `name` is the image as the user typed it.
PullResult pull_with_progress(const PullRequest& request, const Configuration& configuration, const std::string& name,
                              Verbosity verbosity, std::stop_token stop);

/// What is left when ^C ends one.
inline constexpr const char* k_pull_goes_on = "the next pull goes on from here";

}  // namespace mlctr::cli
