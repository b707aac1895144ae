// A job's CUDA_VISIBLE_DEVICES in a container that shows fewer GPUs than the job's node has: the numbers are positions,
// and the positions change.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/environment.hpp"

namespace mlctr::runtime {

struct Renumbering {
  std::string variable;                                ///< "CUDA_VISIBLE_DEVICES"
  std::vector<std::pair<unsigned, unsigned>> numbers;  ///< outside, inside
  std::string origin{};
};

/// Only what came from the host is changed: image and user mean the container's own numbers. A number that is not seen
/// goes; where none is left the variable does. What is no list of numbers (UUIDs) stays.
void renumber(Environment& environment, const std::vector<Renumbering>& renumberings);

}  // namespace mlctr::runtime
