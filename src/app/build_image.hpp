// The use case `mlctr build`: a Containerfile becomes an image of the store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "app/build_source.hpp"
#include "app/configuration.hpp"
#include "app/run_target.hpp"
#include "build/build_watcher.hpp"
#include "build/stage_build.hpp"
#include "image/digest.hpp"

namespace mlctr {

/// --secret: a file or a variable of the environment. It is opened before anything runs, and never read by us.
std::map<std::string, Fd> open_secrets(const std::vector<std::string>& options);

struct BuildRequest {
  std::vector<std::string> references{};  ///< -t, as typed
  std::map<std::string, std::string> arguments{};
  Platform platform = Platform::host();
  build::StepReuse reuse = build::StepReuse::cached;
};

struct BuiltImage {
  std::vector<std::string> references;  ///< as short as they can be typed
  Digest digest;                        ///< of the manifest
  std::uint64_t bytes = 0;
};

/// `bases`: the images that source.plan names. Throws Error (a step that failed: with the command that enters what is
/// left of it), Cancelled. Call it in a process with no other threads at work.
BuiltImage build_image(const Configuration& configuration, const BuildSource& source,
                       const std::map<std::string, BaseImage>& bases, const std::map<std::string, Fd>& secrets,
                       const BuildRequest& request, build::BuildWatcher& watcher, const std::stop_token& stop);

}  // namespace mlctr
