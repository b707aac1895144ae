#include "cli/pull_with_progress.hpp"

#include "base/printable.hpp"

namespace mlctr::cli {

PullResult pull_with_progress(const PullRequest& request, const Configuration& configuration,
                              const DisplayOptions& options, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board, options);
  return pull_image(request, configuration, board, std::move(stop));
}

PullResult pull_with_progress(const PullRequest& request, const Configuration& configuration, const std::string& name,
                              Verbosity verbosity, std::stop_token stop) {
  return pull_with_progress(request, configuration, {.action = "pull " + printable(name), .verbosity = verbosity},
                            std::move(stop));
}

}  // namespace mlctr::cli
