#include "cli/pull_with_progress.hpp"

#include "base/printable.hpp"

namespace mlctr::cli {

PullResult pull_with_progress(const PullRequest& request, const Configuration& configuration, const std::string& name,
                              Verbosity verbosity, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board, {.action = "pull " + printable(name), .verbosity = verbosity});
  return pull_image(request, configuration, board, std::move(stop));
}

}  // namespace mlctr::cli
