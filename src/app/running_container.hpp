// What the server of a running container tells of it: written when it starts, read by whoever asks its socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/runtime_directory.hpp"
#include "runtime/base_container.hpp"
#include "runtime/environment.hpp"
#include "runtime/identity.hpp"
#include "runtime/renumbering.hpp"

namespace mlctr {

struct RunningContainer {
  std::string name{};   ///< empty: unnamed
  std::string image{};  ///< the reference, or a file's path
  std::vector<std::string> command{};
  std::int64_t started_at = 0;  ///< seconds since 1970
  std::string step{};           ///< the Slurm step it ends with (slurm_step.hpp, key_of); empty: none
  runtime::Remap remap = runtime::Remap::none;
  runtime::HomeMount home = runtime::HomeMount::yes;

  // What a program that comes later starts with, as the first one did.
  std::vector<std::string> image_environment{};        ///< "NAME=VALUE", the image's
  std::vector<runtime::EnvironmentEdit> configured{};  ///< what environ.d and hooks made of it
  std::vector<std::string> environment{};              ///< --env and --env-file of the run
  std::vector<runtime::Renumbering> renumbered{};      ///< what its GPUs make of the host's numbers
  std::string image_directory{};                       ///< WORKDIR
  std::string working_directory{};                     ///< --workdir of the run; may be empty

  // Added by the server with every answer.
  std::string mount_namespace{};  ///< "mnt:[4026532758]"
  std::vector<pid_t> pids{};      ///< only in answer to "describe"
  /// Whose `command` is, ended before others did; only in answer to "describe".
  enum class FirstProgram { runs, ended } first_program = FirstProgram::runs;
};

/// A JSON object, without what the server adds. Environments and paths need not be UTF-8: each byte goes as the code
/// point of its value.
std::string to_description(const RunningContainer& container);

/// The part of a description that is known only once hooks have run.
std::string describe_configured(const std::vector<runtime::EnvironmentEdit>& configured);

/// Throws Error where `description` is not one.
RunningContainer parse_description(std::string_view description);

/// The container that listens on `socket`; absent where it has ended by now.
std::optional<RunningContainer> look_at_running(const RuntimeDirectory& directory, const std::string& socket);

}  // namespace mlctr
