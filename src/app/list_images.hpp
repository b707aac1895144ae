// The use case `mlctr images`: what the stores hold.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "image/digest.hpp"
#include "image/platform.hpp"
#include "store/store.hpp"

namespace mlctr {

struct ListedImage {
  std::string reference;           ///< canonical; empty for an image that no reference leads to any more
  std::string familiar_reference;  ///< as short as it can be typed
  Digest manifest_digest;
  std::filesystem::path store;  ///< root of the store that has it
  std::filesystem::path squashfs;
  std::uint64_t size_bytes = 0;  ///< of the squashfs file
  std::string created;           ///< RFC 3339 as the image's config has it; empty where absent
  std::int64_t pulled_at = 0;    ///< seconds since 1970; 0 without a reference
  Platform platform;
  std::size_t layers = 0;
};

struct ImageListing {
  std::vector<ListedImage> images;  ///< newest pull first
  std::vector<BrokenEntry> broken;  ///< what could not be read, and why; never fatal
};

ImageListing list_images(const Configuration& configuration);

}  // namespace mlctr
