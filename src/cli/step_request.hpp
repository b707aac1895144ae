// What --container-… options ask of a step's container.
#pragma once

#include <vector>

#include "app/join_step.hpp"
#include "cli/container_options.hpp"

namespace mlctr::cli {

/// Throws UsageError: a value that is none, contradictory options, neither image nor name. Looks at no file but mounts'
/// sources that are .sqsh files, so that it can be asked on another machine first. `step` may be empty then.
StepRequest make_step_request(const std::vector<GivenOption>& given, const SlurmStep& step, const runtime::Host& host);

}  // namespace mlctr::cli
