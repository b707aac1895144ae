// --locked: an image is what ./mlctr.lock says, or nothing happens.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "app/run_target.hpp"
#include "image/digest.hpp"
#include "image/platform.hpp"

namespace mlctr::cli {

enum class Locked { no, yes };

/// Asks the registry. Throws Error that says what drifted; so do the others.
void check_registry_locked(const Configuration& configuration, const std::string& reference, const Platform& platform,
                           std::stop_token stop);

/// `now`: the manifest digest of an image that is here, in `squashfs`.
void check_image_locked(const std::string& reference, const Platform& platform, const Digest& now,
                        const std::filesystem::path& squashfs);

/// Asks the registry where the image isn't here: before it is pulled.
void check_before_run(const Configuration& configuration, const std::string& text);

/// A container counts as the image that it was made from.
void check_target_locked(const std::string& text, const RunTarget& target);

}  // namespace mlctr::cli
