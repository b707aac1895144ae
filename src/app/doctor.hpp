// The use case `mlctr doctor`: does each thing that a run needs, one by one, and in the end runs a program in a
// container; says what was tried, what came of it and which commands would change it.
#pragma once

#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/finding.hpp"

namespace mlctr {

struct ProbeResult {
  std::string name;   ///< "user namespaces"
  std::string tried;  ///< what was done
  Finding finding;
};

/// Each probe runs in a child process, which is killed where it takes too long. Leaves nothing behind. Call it in a
/// single-threaded process.
std::vector<ProbeResult> examine_machine(const Configuration& configuration);

/// Whether a run would work: nothing failed.
bool can_run(const std::vector<ProbeResult>& results);

}  // namespace mlctr
