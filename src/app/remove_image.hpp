// The use case `mlctr rmi`: a reference goes, and the image with it when no other reference leads there. Layers stay
// cached until gc.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "image/digest.hpp"
#include "store/store.hpp"

namespace mlctr {

struct RemovedImage {
  std::vector<std::string> removed_references{};  ///< canonical
  Digest manifest_digest;
  enum class Image { removed, kept } image = Image::removed;
  std::vector<std::string> remaining_references{};  ///< why it was kept
  std::vector<std::string> containers{};  ///< those that have the image's file still, so that its space is not freed
  std::uint64_t freed_bytes = 0;
  std::uint64_t cached_bytes = 0;  ///< of its layers, which only the layer cache has now
};

/// `text` as find_image takes it. By digest: throws Error where several references lead to the image (they are named).
/// Throws Error where the store has no such image, and where the image would go that a container on another filesystem
/// needs.
RemovedImage remove_image(const Configuration& configuration, std::string_view text, std::stop_token stop);

}  // namespace mlctr
