// An image that a build starts from or copies from, and what a built one says of its layers.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "build/rootfs_files.hpp"
#include "image/digest.hpp"
#include "image/manifest.hpp"

namespace mlctr::build {

struct ImageLayer {
  Descriptor descriptor;  ///< as it is in a registry; a layer made here: as a plain tar
  Digest diff_id;
};

struct ExternalImage {
  StageFiles files;
  std::string config_body;
  std::vector<ImageLayer> layers;
};

/// By the reference that the Containerfile has.
using ExternalImages = std::map<std::string, ExternalImage>;

}  // namespace mlctr::build
