// The container of a Slurm step: which one it is, and how a step's holder makes it or goes into it.
#pragma once

#include <string>
#include <vector>

#include "app/join_step.hpp"
#include "app/run_container.hpp"
#include "app/step_holder.hpp"

namespace mlctr {

/// Finds image and container, or gets and makes them. Throws Error where the request's use of a name does not allow it.
RunSubject find_step_subject(const Configuration& configuration, const StepRequest& request);

/// In the holder: returns inside the container. `not_inherited`: what servers must not keep open.
HeldContainer enter_step_container(const Configuration& configuration, const RunSubject& subject,
                                   const StepRequest& request, const runtime::Host& host,
                                   const std::vector<int>& not_inherited);

}  // namespace mlctr
