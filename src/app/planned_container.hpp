// A container that is to start: everything about it that is settled before its first namespace, and then its making.
// One path for `mlctr run` and for Slurm's steps.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/changed_files.hpp"
#include "app/configuration.hpp"
#include "app/open_image.hpp"
#include "app/run_container.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "image/config.hpp"
#include "runtime/container.hpp"
#include "runtime/container_server.hpp"
#include "runtime/environment.hpp"
#include "runtime/fstab.hpp"
#include "runtime/host.hpp"
#include "runtime/program.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {

/// The image's config, "${NAME}" put in from the host's variables. Throws Error that names the image.
ImageConfig config_of(const BaseImage& image, const runtime::Host& host);

/// What the request runs, but for its environment.
runtime::Program make_program(const RunRequest& request, const ImageConfig& config, const runtime::Host& host);

/// To the request's user, where it has one who listens.
void tell_all(const std::vector<std::string>& lines, const RunRequest& request);

class PlannedContainer {
 public:
  /// Looks at all that can be looked at before anything is started. Throws Error: a mount's source is not there, an
  /// image can't be opened, the container was removed meanwhile.
  PlannedContainer(const Configuration& configuration, const RunSubject& subject, RunRequest request,
                   const ImageConfig& config, const runtime::Host& host, const RuntimeDirectory& directory);
  PlannedContainer(const PlannedContainer&) = delete;  // its images are what there is to fall back to
  PlannedContainer& operator=(const PlannedContainer&) = delete;

  const runtime::Identity& identity() const noexcept { return spec_.identity; }
  const runtime::Program& program() const noexcept { return program_; }

  /// What the server will tell of the container; may be changed before it starts.
  RunningContainer& description() noexcept { return description_; }

  /// `not_for_server`: descriptors of the caller's whose end others wait for.
  runtime::ContainerServer start_server(runtime::ContainerSocket socket, const ContainerStore& containers,
                                        std::vector<int> not_for_server = {});

  /// In a process that has entered the user namespace; opens the door to others. Returns inside, with the program's
  /// environment: the planned one, with what the hooks made of it. `changed` may be null.
  runtime::Environment build(const runtime::ContainerServer& server, const ChangedFiles* changed);

  /// What else becomes of the environment of the programs to come.
  void add_configured(const runtime::ContainerServer& server, const std::vector<runtime::EnvironmentEdit>& edits);

 private:
  void plan_mounts(const std::vector<runtime::Mount>& of_image, const RunRequest& request, const runtime::Host& host,
                   const runtime::FstabMounts& configured);
  void plan_hooks(std::vector<std::filesystem::path> hooks, const Configuration& configuration,
                  const RuntimeDirectory& directory, runtime::Environment environment, runtime::HookOutput output);
  void plan_edits(const Configuration& configuration, const RunSubject& subject, RunRequest& request,
                  const ImageConfig& config);
  void open_images(const RunSubject& subject);
  void plan_rootfs(const Configuration& configuration, const RunSubject& subject, const RunRequest& request);

  std::vector<OpenImage> images_;  // the rootfs's, then those of squashfs mounts
  runtime::ContainerSpec spec_;
  std::vector<runtime::EnvironmentEdit> configured_;  // what environ.d, then hooks make of the environment
  std::vector<std::string> own_environment_;          // the user's: --env
  runtime::Program program_;                          // its environment comes when hooks have run
  RunningContainer description_;
  std::filesystem::path traced_;  // the container's directory, where a driver leaves traces in it
  Fd traces_;
  std::optional<UnpackedTree> temporary_upper_;  // of an unnamed one
};

}  // namespace mlctr
