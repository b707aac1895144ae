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
    const containerfile::StageBase base = globals_.base_of(stage);
    need({base.reference, base.platform}, number);
    for (const auto& instruction : stage.instructions) {
      for (const auto& source : containerfile::sources_of(instruction)) need({source.text, std::nullopt}, number);
    }
  }

  BuildPlan plan_;

 private:
  void need(const PlannedImage& image, std::size_t before) {
    if (const auto stage = containerfile::find_stage(file_, image.name, before)) return need(*stage);
    if (image.name == "scratch" || std::ranges::find(plan_.images, image) != plan_.images.end()) return;
    plan_.images.push_back(image);
  }

  const containerfile::Containerfile& file_;
  containerfile::GlobalVariables& globals_;
};

}  // namespace

std::string PlannedImage::key() const {
  return platform ? name + " for " + platform->to_string() : name;
}

BuildPlan plan_build(const containerfile::Containerfile& file, containerfile::GlobalVariables& globals,
                     const std::string& target) {
  BuildPlanner planner(file, globals);
  planner.plan_.target = containerfile::target_stage(file, target);
  planner.need(planner.plan_.target);
  return std::move(planner.plan_);
}

}  // namespace mlctr::build
