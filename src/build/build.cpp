#include "build/build.hpp"

#include <poll.h>

#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "image/media_type.hpp"

namespace mlctr::build {
namespace {

constexpr int k_tick_ms = 100;  // how soon a stop is heeded, and another build's end seen
constexpr const char* k_tar_layer = "application/vnd.oci.image.layer.v1.tar";

// Waits until a running step has something to say, or a while.
std::vector<StageBuild*> wait_for_output(const BuildContext& context) {
  std::vector<StageBuild*> running;
  std::vector<pollfd> wanted;
  for (const auto& [number, stage] : context.stages) {
    if (stage->output() < 0) continue;
    running.push_back(stage.get());
    wanted.push_back({stage->output(), POLLIN, 0});
  }
  if (::poll(wanted.data(), wanted.size(), k_tick_ms) <= 0) return {};
  std::vector<StageBuild*> ready;
  for (std::size_t i = 0; i < running.size(); ++i) {
    if (wanted[i].revents != 0) ready.push_back(running[i]);
  }
  return ready;
}

// True when something went on.
bool advance_all(BuildContext& context) {
  bool has_moved = false;
  for (const auto& [number, stage] : context.stages) {
    if (stage->is_done()) continue;
    has_moved |= stage->advance() == StageBuild::State::done;
  }
  return has_moved;
}

BuiltStage result_of(StageBuild& stage, const BuildContext& context) {
  BuiltStage built{.files = stage.files(), .layers = stage.base_layers(), .config_body = {}, .tree = stage.take_tree()};
  for (const BuiltLayer& layer : stage.files().layers) {
    built.layers.push_back(
        {{.media_type = k_tar_layer, .digest = layer.diff_id, .size_bytes = layer.tar_bytes, .urls = {}},
         layer.diff_id});
  }
  std::vector<Digest> diff_ids;
  for (const ImageLayer& layer : built.layers) diff_ids.push_back(layer.diff_id);
  built.config_body = stage.document().write(diff_ids, context.places.time);
  return built;
}

}  // namespace

std::variant<BuiltStage, FailedStep> build_stages(BuildContext& context, const BuildPlan& plan,
                                                  const std::stop_token& stop) {
  for (const std::size_t number : plan.stages) {
    context.stages.emplace(number, std::make_unique<StageBuild>(context, number));
  }
  StageBuild& target = *context.stages.at(plan.target);
  for (;;) {
    while (advance_all(context)) {
    }
    if (target.is_done()) return result_of(target, context);
    for (StageBuild* stage : wait_for_output(context)) {
      if (auto failed = stage->hear()) return *failed;
    }
    context.watcher.tick();
    if (stop.stop_requested()) throw Cancelled();
  }
}

}  // namespace mlctr::build
