// The tasks of a Slurm step on one node share a container: the first to come has it made, with a holder, and all,
// that one too, join it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/run_target.hpp"
#include "app/slurm_step.hpp"
#include "app/torch_variables.hpp"
#include "runtime/base_container.hpp"
#include "runtime/container.hpp"
#include "runtime/host.hpp"
#include "runtime/identity.hpp"
#include "runtime/message.hpp"
#include "runtime/mount.hpp"
#include "runtime/program.hpp"

namespace mlctr {

/// What --container-name asks of the container: found or made; not there before; running already; there, but not
/// running.
enum class NameUse { any, create, exec, no_exec };

/// The image's entrypoint is run once, when the container starts: silent, or with what it prints on standard error.
enum class StepEntrypoint { none, silent, shown };

struct StepRequest {
  SlurmStep step;
  std::vector<std::string> command{};
  std::string image{};  ///< empty: the container's
  std::string name{};   ///< empty: a container that ends with the step
  std::string job{};    ///< the job that a container of that name ends with; empty: none
  NameUse name_use = NameUse::any;
  std::optional<runtime::Remap> remap{};  ///< absent: as the container is; a new one: none
  std::optional<runtime::HomeMount> home{};
  std::optional<runtime::RootfsAccess> access{};
  int own_namespaces = 0;  ///< CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS
  std::vector<runtime::Mount> mounts{};
  std::vector<std::string> environment{};  ///< "NAME=VALUE": where the task's value counts, not the image's
  std::string working_directory{};
  std::filesystem::path save_as{};  ///< absolute; empty: the container is not saved
  StepEntrypoint entrypoint = StepEntrypoint::none;
  std::function<BaseImage(const std::string&)> find_image{};  ///< in the stores, else a registry
  std::function<void(const std::string&)> tell{};             ///< takes a line for the user
  /// The same request as another task of the step would make it, of whose environment the host has all.
  std::function<StepRequest(const runtime::Host&)> of_task{};
};

/// Another task had the step's container made, and has told why that failed.
struct StepFailed {};

/// A way into a container, and what the task is in it.
struct StepEntry {
  runtime::Message container;  ///< the container's answer to "join"
  runtime::Program program;
  runtime::Remap container_remap;  ///< who its own user is
};

/// Returns once the container is whole. Throws Error, StepFailed.
StepEntry join_step(const Configuration& configuration, const StepRequest& request, const runtime::Host& host);

/// The same for a container that has answered.
StepEntry entry_of(const StepRequest& request, runtime::Message answer, const runtime::Host& host, OutgoingPorts ports);

}  // namespace mlctr
