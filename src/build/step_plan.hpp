// An instruction that changes files, evaluated -> the step that carries it out, and its key in the cache.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "build/image_document.hpp"
#include "build/step_job.hpp"
#include "containerfile/evaluate.hpp"
#include "containerfile/instruction.hpp"

namespace mlctr::build {

/// What an instruction finds when its turn comes.
struct StageView {
  const StageFiles& files;
  const ImageDocument& document;
  const containerfile::StageVariables& variables;
  /// The files of the stage or image that --from or from= names.
  std::function<StageFiles(const std::string& name)> source;
  const DownloadFiles& download;
};

struct PlannedStep {
  StepJob job;
  Digest key;
};

/// Absent where the instruction changes no files. Reads what the step will copy, for its digest. Throws Error.
std::optional<PlannedStep> plan_step(const containerfile::Instruction& instruction, const StageView& view,
                                     const BuildPlaces& places);

/// `path` from the stage's WORKDIR on, absolute and without dots; a '/' at its end stays.
std::string absolute_in_image(const std::string& path, const ImageDocument& document);

/// What RUN runs, as its history shows it.
std::vector<std::string> run_command(const containerfile::Run& run, const ImageDocument& document);

}  // namespace mlctr::build
