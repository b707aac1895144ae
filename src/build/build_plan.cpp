#include "build/build_plan.hpp"

#include <algorithm>

namespace mlctr::build {
namespace {

class BuildPlanner {
 public:
  BuildPlanner(const containerfile::Containerfile& file, containerfile::GlobalVariables& globals)
      : file_(file), globals_(globals) {}

  void need(std::size_t number) {
    if (!plan_.stages.insert(number).second) return;
    const containerfile::Stage& stage = file_.stages[number];
    need(globals_.base_of(stage).reference, number);
    for (const auto& instruction : stage.instructions) {
      for (const auto& source : containerfile::sources_of(instruction)) need(source.text, number);
    }
  }

  BuildPlan plan_;

 private:
  void need(const std::string& name, std::size_t before) {
    if (const auto stage = containerfile::find_stage(file_, name, before)) return need(*stage);
    if (name != "scratch" && std::ranges::find(plan_.images, name) == plan_.images.end()) plan_.images.push_back(name);
  }

  const containerfile::Containerfile& file_;
  containerfile::GlobalVariables& globals_;
};

}  // namespace

BuildPlan plan_build(const containerfile::Containerfile& file, containerfile::GlobalVariables& globals,
                     const std::string& target) {
  BuildPlanner planner(file, globals);
  planner.plan_.target = containerfile::target_stage(file, target);
  planner.need(planner.plan_.target);
  return std::move(planner.plan_);
}

}  // namespace mlctr::build
