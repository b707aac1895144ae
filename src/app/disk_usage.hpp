// The use case `mlctr du`: what takes how much of the store's filesystem. Bytes are allocated ones (st_blocks), so
// sparse files count as what they hold; a file with several names counts once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "image/digest.hpp"
#include "store/store.hpp"

namespace mlctr {

struct ImageUsage {
  Digest manifest_digest;
  std::vector<std::string> references{};  ///< canonical, sorted
  std::uint64_t image_bytes = 0;  ///< its directory; next to nothing where a .sqsh of the user's is only recorded
  std::uint64_t unique_layer_bytes = 0;  ///< cached layers that no other image here has
  std::uint64_t shared_layer_bytes = 0;  ///< cached layers that other images here have too
};

struct ContainerUsage {
  std::string name;
  std::uint64_t changes_bytes = 0;  ///< its upper directory
  std::uint64_t image_bytes = 0;    ///< of an image that the store has no more, and the container's link keeps
};

struct DiskUsage {
  std::filesystem::path store;
  std::vector<ImageUsage> images{};  ///< largest first
  std::uint64_t images_bytes = 0;
  std::uint64_t layers_bytes = 0;         ///< the layer cache: what gc trims to gc.layer_cache
  std::uint64_t unused_layers_bytes = 0;  ///< of those, layers of no image here
  std::size_t layers = 0;
  std::size_t build_steps = 0;            ///< whose results are remembered: each has one of the layers, or changed nothing
  std::uint64_t build_bytes = 0;          ///< running builds, caches of RUN --mount, what failed steps left
  std::uint64_t partial_bytes = 0;  ///< cut downloads, and what killed pulls left
  std::vector<ContainerUsage> containers{};  ///< most changes first
  std::uint64_t containers_bytes = 0;        ///< all of their directory, on this or another filesystem
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< of the filesystem, for ordinary users
  std::vector<BrokenEntry> broken{};
};

DiskUsage disk_usage(const Configuration& configuration);

}  // namespace mlctr
