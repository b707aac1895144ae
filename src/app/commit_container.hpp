// The use case `mlctr commit`: a container becomes an image of the store, under a reference of the user's choice.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "app/container_image.hpp"
#include "image/digest.hpp"

namespace mlctr {

struct CommitRequest {
  std::string container;
  std::string reference;  ///< as the user typed it; empty: none leads to it, and gc takes it
  RunningContainers running = RunningContainers::refuse;
};

struct CommittedImage {
  std::string reference;  ///< as short as it can be typed
  Digest digest;          ///< of its manifest; of the squashfs file where the base has no layers to put one more on
  std::uint64_t bytes = 0;
};

/// The base's layers stay as they are, and the changes become one more: pushed, it shares the base's blobs. Who, when
/// and from what is in the configuration's history and the manifest's annotations. The same container gives the same
/// image. What the reference meant before stays in the store until gc. Throws UsageError where it is no reference (a file, a
/// layout) or has a digest.
CommittedImage commit_container(const Configuration& configuration, const CommitRequest& request, ProgressBoard& board,
                                std::stop_token stop);

}  // namespace mlctr
