// The use case `mlctr push`: an image of the store into a registry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/portable_image.hpp"
#include "base/progress.hpp"
#include "image/digest.hpp"
#include "image/platform.hpp"

namespace mlctr {

struct PushRequest {
  std::string image;        ///< as find_image takes it
  /// The same for other platforms: what gets the name is an index of all of them, each known by its digest there.
  std::vector<std::string> others{};
  std::string destination;  ///< a reference with a tag; empty: where the image came from
  /// Of every layer; absent: as the registry has them, and gzip for those it lacks.
  std::optional<squashfs::BlobCompression> compression{};
  LayerRewrite rewrite = LayerRewrite::refuse;
};

struct PushedImage {
  std::string reference;    ///< as short as it can be typed
  std::vector<Platform> platforms{};  ///< of an index
  Digest manifest_digest;   ///< the store's own where the registry has the very blobs that were pulled
  std::uint64_t sent_bytes = 0;
  std::size_t layers = 0;
  std::size_t present = 0;  ///< blobs of layers that were there
  std::size_t mounted = 0;  ///< taken from another repository of the registry
};

/// Layers whose blobs the registry has are not even compressed. Throws UsageError where there is no name to push to, and
/// where two images are for one platform.
PushedImage push_image(const Configuration& configuration, const PushRequest& request, ProgressBoard& board,
                       std::stop_token stop);

}  // namespace mlctr
