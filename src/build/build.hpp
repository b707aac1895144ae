// Builds the stages that a target needs, those that don't depend on each other side by side.
#pragma once

#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "build/build_plan.hpp"
#include "build/stage_build.hpp"

namespace mlctr::build {

struct BuiltStage {
  StageFiles files;
  std::vector<ImageLayer> layers;  ///< all of them, the base's first
  std::string config_body;
  StageTree tree;  ///< of `files`
};

/// Throws Error where an instruction can't be carried out, Cancelled. Nothing runs any more when it returns.
std::variant<BuiltStage, FailedStep> build_stages(BuildContext& context, const BuildPlan& plan,
                                                  const std::stop_token& stop);

}  // namespace mlctr::build
