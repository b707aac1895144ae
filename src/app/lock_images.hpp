// The use case `mlctr lock`: what references mean now, pulled and looked into.
#pragma once

#include <filesystem>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/lock_file.hpp"
#include "base/progress.hpp"
#include "image/reference.hpp"

namespace mlctr {

struct LockRequest {
  std::vector<std::string> references;             ///< as typed
  std::filesystem::path containerfile{};           ///< every image that it names besides; empty: none
  std::map<std::string, std::string> arguments{};  ///< --build-arg, for its FROMs
  Platform platform = Platform::host();
};

struct LockedReference {
  std::string reference;
  Platform platform;

  auto operator==(const LockedReference&) const -> bool = default;
};

/// The images of a Containerfile: of FROM, COPY --from and RUN --mount=…,from=, each once; stages and "scratch" are
/// none.
std::vector<LockedReference> images_of(const LockRequest& request);

/// Pulls what isn't here. Throws Error where one is no registry's image.
LockFile lock_images(const LockRequest& request, const Configuration& configuration, ProgressBoard& board,
                     std::stop_token stop);

/// The manifest that a registry's reference means on a platform.
Digest manifest_on(const ImageReference& reference, const Platform& platform, const Configuration& configuration,
                   ProgressBoard& board, const std::stop_token& stop);

/// The digest that a registry has under the reference now: an index's or a manifest's.
Digest digest_now(const std::string& reference, const Configuration& configuration, ProgressBoard& board,
                  std::stop_token stop);

}  // namespace mlctr
