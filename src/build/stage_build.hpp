// One stage on its way: its instructions in order, each made into a key, looked up, and carried out where it must be.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/base_image.hpp"
#include "build/build_watcher.hpp"
#include "build/image_document.hpp"
#include "build/stage_tree.hpp"
#include "build/step_job.hpp"
#include "build/step_process.hpp"
#include "containerfile/evaluate.hpp"
#include "store/step_cache.hpp"

namespace mlctr::build {

enum class StepReuse { cached, none };  ///< none: --no-cache

class StageBuild;

/// What the stages of one build share.
struct BuildContext {
  const BuildPlaces& places;
  const containerfile::GlobalVariables& globals;
  const ExternalImages& images;
  const Platform& platform;
  StepCache cache;
  StepReuse reuse = StepReuse::cached;
  BuildWatcher& watcher;
  /// Gets files of the web into a directory of their own, which it returns.
  DownloadFiles download;
  std::map<std::size_t, std::unique_ptr<StageBuild>> stages{};
  std::size_t steps_begun = 0;
};

/// A program of a step failed: what of it stays lies in `directory`, over the files of `stack`.
struct FailedStep {
  std::string label, message, hint;
  std::uint32_t line = 0;  ///< of the file
  std::optional<int> exit_code;
  std::filesystem::path directory;
  StageFiles below;
  std::string config;
};

class StageBuild {
 public:
  StageBuild(BuildContext& context, std::size_t number);
  ~StageBuild();

  enum class State { waiting, running, done };
  /// Goes on as far as it can without waiting. waiting: for another stage, or another build that carries out the same
  /// step. Throws Error that says where in the file.
  State advance();
  /// Its running step's output has something, or has ended. Returns what became of a step that failed.
  std::optional<FailedStep> hear();
  int output() const;  ///< of the running step

  const StageFiles& files() const noexcept { return files_; }
  const ImageDocument& document() const noexcept { return *document_; }
  const std::vector<ImageLayer>& base_layers() const noexcept { return base_layers_; }
  StageTree take_tree() noexcept { return std::move(tree_); }  ///< once it is done
  bool is_done() const noexcept { return state_ == State::done; }

 private:
  struct Step;

  bool begin();
  void begin_with(const StageBuild& stage);
  void begin_with(const ExternalImage& image);
  void add_triggers();
  bool carry_on();
  void check_runs_here() const;
  bool perform(const containerfile::Instruction& written);
  bool try_step();
  void end_step(const std::optional<BuiltLayer>& layer, StepEnd end);
  void tell_of_warnings();
  std::string label_of(const containerfile::Instruction& instruction) const;
  std::string history_of(const containerfile::Instruction& instruction) const;
  const containerfile::Stage& stage() const;

  BuildContext& context_;
  const std::size_t number_;
  State state_ = State::waiting;
  std::optional<ImageDocument> document_;
  std::optional<containerfile::StageVariables> variables_;
  StageFiles files_;
  std::vector<ImageLayer> base_layers_;
  StageTree tree_;
  std::vector<containerfile::Instruction> instructions_;  // those of the base's ONBUILD first
  std::size_t next_ = 0;
  std::size_t warnings_told_ = 0;
  std::unique_ptr<Step> step_;
};

}  // namespace mlctr::build
