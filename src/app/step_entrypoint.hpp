// --container-entrypoint: the image's entrypoint is run once, when the step's container starts, as pyxis does it; what
// it does to files stays in the container, what it exports reaches every task.
#pragma once

#include <string>
#include <vector>

#include "app/join_step.hpp"
#include "runtime/environment.hpp"
#include "runtime/program.hpp"

namespace mlctr {

/// Inside the container. `program`: how to start, and as its command the entrypoint; it is given a shell to run, whose
/// environment is what it made of program.environment. Returns the difference. Throws Error where the shell was never
/// reached.
std::vector<runtime::EnvironmentEdit> run_entrypoint(runtime::Program program, StepEntrypoint output);

}  // namespace mlctr
