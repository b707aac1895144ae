// Carries out one step in a process of its own, so that several can run side by side and each may enter namespaces.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.hpp"
#include "build/step_job.hpp"

namespace mlctr::build {

struct StepOutcome {
  std::optional<BuiltLayer> layer{};  ///< absent as well where nothing changed
  std::string message{}, hint{};      ///< of what went wrong; empty: nothing
  std::optional<int> exit_code{};     ///< of a program that failed: 128 + the signal where one ended it
};

class StepProcess {
 public:
  /// `below` is what job.below shows; null: the step's process reads that itself while its container runs. `directory`
  /// is made: it gets the upper directory, which stays there where the step fails.
  static StepProcess start(const StepJob& job, const squashfs::Tree* below, const BuildPlaces& places,
                           const std::filesystem::path& directory);

  /// What the step's programs say; read it until its end.
  const Fd& output() const noexcept { return output_; }
  /// After that: waits for the end.
  StepOutcome finish();
  /// With all that it started.
  void kill() noexcept;

 private:
  StepProcess(pid_t pid, Fd output, Fd result) : pid_(pid), output_(std::move(output)), result_(std::move(result)) {}
  pid_t pid_;
  Fd output_, result_;
};

}  // namespace mlctr::build
