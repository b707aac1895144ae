// All layers of an image into the store, several at a time, each converted as it arrives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <vector>

#include "app/image_origin.hpp"
#include "app/resolve_image.hpp"
#include "base/progress.hpp"
#include "squashfs/convert_layer.hpp"
#include "store/store.hpp"

namespace mlctr {

struct FetchOptions {
  unsigned parallel_layers = 4;
  unsigned threads = 1;  ///< that compress, for all layers together
  int compression_level = 1;
  squashfs::LayerLimits limits;
};

struct FetchedLayers {
  std::vector<std::filesystem::path> files;  ///< one a layer of the image, base first; repeated layers repeat
  std::uint64_t transferred_bytes = 0;       ///< over the network, by this pull
  std::size_t reused = 0;                    ///< layers that were there already
};

/// Layers that `store` or one of `others` (stores to read only) has are not fetched. Each layer's lock is held while it
/// is made, so of several pulls one makes it and the others use it. The first failure stops the rest and is thrown.
FetchedLayers fetch_layers(const ResolvedImage& image, ImageOrigin& origin, Store& store,
                           const std::vector<Store>& others, const FetchOptions& options, ProgressBoard& board,
                           std::stop_token stop);

}  // namespace mlctr
