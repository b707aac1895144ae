// What names an image that came as a squashfs file, and what the store keeps beside it.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "base/progress.hpp"
#include "image/digest.hpp"
#include "image/platform.hpp"
#include "squashfs/image_file.hpp"

namespace mlctr {

struct SquashfsIdentity {
  Digest digest;                           ///< the SHA-256 of the file: what it claims to be proves nothing
  std::string manifest_body, config_body;  ///< its own, else made up
};

/// Checks that the file is a whole squashfs image, and hashes it. `platform` is what an image is said to be for that
/// says nothing itself. Throws Error, Cancelled.
SquashfsIdentity identify_squashfs(int fd, const std::filesystem::path& file, const Platform& platform,
                                   ProgressItem& progress, const std::stop_token& stop);

/// The SHA-256 of the image as one file. `progress` may be null.
Digest hash_squashfs(const squashfs::ImageFile& image, ProgressItem* progress, const std::stop_token& stop);

}  // namespace mlctr
