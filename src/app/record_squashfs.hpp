// The use case `mlctr pull FILE.sqsh`: an existing squashfs image becomes one of the store's, by its path.
#pragma once

#include <filesystem>
#include <stop_token>

#include "app/pull_image.hpp"

namespace mlctr {

/// Checks that the file is a whole squashfs image and records it under its absolute path, copying it into the store
/// only where the request says so. Its digest in the store is the SHA-256 of the file itself: what a file's /.mlctr
/// claims proves nothing, and must not stand in for an image that was verified.
PullResult record_squashfs(const std::filesystem::path& file, const PullRequest& request,
                           const Configuration& configuration, ProgressBoard& board, std::stop_token stop);

}  // namespace mlctr
