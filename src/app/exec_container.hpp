// The use case `mlctr exec`: one more program in a container that runs, among its processes and mounts and in its
// environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "app/running_container.hpp"
#include "base/error.hpp"
#include "runtime/host.hpp"
#include "runtime/identity.hpp"
#include "runtime/message.hpp"
#include "runtime/mount.hpp"
#include "runtime/program.hpp"
#include "runtime/supervise.hpp"

namespace mlctr {

/// named: shells say in their prompt where they are.
enum class Prompt { plain, named };

struct ExecRequest {
  std::vector<std::string> command{};      ///< empty: a shell
  std::optional<runtime::Remap> remap{};   ///< absent: as the container's first program
  std::vector<std::string> environment{};  ///< --env and --env-file, over those of the run
  std::string working_directory{};         ///< empty: as the container's first program
  Prompt prompt = Prompt::plain;
  std::vector<runtime::Mount> mounts{};  ///< those the caller knows the container has: one may show its directory
};

/// Nothing on this machine runs under that name.
class NotRunningHere : public Error {
 public:
  using Error::Error;
};

/// `text` is a container's name, the number `mlctr ps` shows, a Slurm step's id or its job's, or the pid of any process
/// in one. In a step's container the program has the environment of the step's first task. Becomes the program; in a
/// container with its own pid namespace waits for it instead. Throws NotRunningHere, Error, CommandError.
runtime::ProgramEnd exec_container(const Configuration& configuration, std::string_view text,
                                   const ExecRequest& request, const runtime::Host& host);

/// What the request runs in a container that runs: as its first program was started, but for what the request asks.
runtime::Program program_in(const RunningContainer& container, const ExecRequest& request, const runtime::Host& host);

/// Becomes the program, or waits for it, where the container has been asked already: `answer` is its answer to "join".
runtime::ProgramEnd run_inside(const runtime::Message& answer, const runtime::Program& program);

}  // namespace mlctr
