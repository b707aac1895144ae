// The files that a stage's root directory is made of so far.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "build/step_layer.hpp"

namespace mlctr::build {

/// The most layers over one image that a container mounts: each is a mount of its own, and their names share 255 bytes.
inline constexpr std::size_t k_max_stacked_layers = 20;

struct StageFiles {
  std::filesystem::path image;       ///< a squashfs file; an empty one for "scratch"
  std::string identity;              ///< the image's digest; "scratch"
  std::vector<BuiltLayer> layers{};  ///< what the steps so far changed, in their order
};

/// A key of what it shows: the same for the same files.
Digest identity_of(const StageFiles& files);

/// As files to be mounted one over the other, the image first: at most 1 + k_max_stacked_layers. Where there are more,
/// the first of them are merged, once a build: into a file in `place`.
std::vector<std::filesystem::path> stack_of(const StageFiles& files, const Store& store,
                                            const std::filesystem::path& place, const std::stop_token& stop);

}  // namespace mlctr::build
