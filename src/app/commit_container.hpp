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
  std::string reference;  ///< as the user typed it
  RunningContainers running = RunningContainers::refuse;
};

struct CommittedImage {
  std::string reference;  ///< as short as it can be typed
  Digest digest;          ///< the SHA-256 of the squashfs file, as of one that was pulled as a file
  std::uint64_t bytes = 0;
};

/// What the reference meant before stays in the store until gc. Throws UsageError where it is no reference (a file, a
/// layout) or has a digest.
CommittedImage commit_container(const Configuration& configuration, const CommitRequest& request, ProgressBoard& board,
                                std::stop_token stop);

}  // namespace mlctr
