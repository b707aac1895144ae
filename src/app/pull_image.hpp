// The use case `mlctr pull`: a source becomes one verified squashfs image in the store.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "app/configuration.hpp"
#include "app/export_image.hpp"
#include "base/progress.hpp"
#include "image/digest.hpp"
#include "image/platform.hpp"
#include "image/reference.hpp"

namespace mlctr {

/// missing: what the store has will do. newer: ask, but go on with what the store has where the registry can't be
/// asked. always: ask, and fail where that fails.
enum class PullPolicy { missing, newer, always };

enum class SquashfsCopy { record_path, into_store };

struct PullRequest {
  ImageSource source;
  Platform platform = Platform::host();
  PullPolicy policy = PullPolicy::always;
  std::filesystem::path output{};                          ///< also write the image here; empty: store only
  Overwrite overwrite = Overwrite::refuse;                 ///< of `output`
  SquashfsCopy squashfs_copy = SquashfsCopy::record_path;  ///< of an existing .sqsh
  /// What to say where another process, on `host`, pulls the image already; empty: nothing. Absent: who that is.
  std::function<std::string(const std::string& host)> tell_of_wait{};
};

struct PullResult {
  std::string reference;  ///< as short as it can be typed
  Digest manifest_digest;
  std::filesystem::path squashfs;
  std::uint64_t image_bytes = 0;
  std::uint64_t downloaded_bytes = 0;
  std::size_t layers = 0;
  std::size_t layers_reused = 0;
  bool was_present = false;  ///< nothing had to be done
};

PullResult pull_image(const PullRequest& request, const Configuration& configuration, ProgressBoard& board,
                      std::stop_token stop);

}  // namespace mlctr
