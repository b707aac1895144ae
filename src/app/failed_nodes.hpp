// A cause that all nodes of a step run into is told once, with its nodes: "n[1-3]: cannot …". There is no daemon to ask,
// so that the nodes meet in a directory of the store, where they share one: the first to come waits a moment for others
// and tells, the others are silent. Where they share nothing, each tells.
//
//   <place>/failed-<job>.<step>.<restart>-<hash of the cause>/<node>
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/slurm_step.hpp"

namespace mlctr {

/// "n[1-3,7],login" of names in any order; numbers keep their leading zeros.
std::string fold_node_names(std::vector<std::string> names);

/// The nodes that this one is to tell the cause for, itself among them; none where another tells. Waits at most
/// `patience` for `nodes` of them.
std::vector<std::string> nodes_that_failed(const std::filesystem::path& place, const SlurmStep& step,
                                           std::string_view cause, unsigned nodes, std::chrono::milliseconds patience);

}  // namespace mlctr
