// The store: layer files, images and references on disk (DESIGN, "The store"). What is visible in it is whole: everything
// arrives by fsync + rename; any process on any node of a shared filesystem may die at any moment.
//
//   layers/sha256/<diff_id>.sqsh
//   images/sha256/<manifest digest>/{image.sqsh,manifest.json,config.json}
//   references/<registry>/<repository>/<tag>.json
//   locks/  tmp/
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "image/digest.hpp"
#include "image/reference.hpp"
#include "store/lock.hpp"

namespace mlctr {

/// What a reference meant when it was pulled: references/….json.
struct ReferenceRecord {
  std::string reference;        ///< canonical, ImageReference::to_string() without user; or the path of a recorded .sqsh
  Digest manifest_digest;
  std::int64_t pulled_at = 0;   ///< seconds since 1970
};

/// images/sha256/<digest>/ as it lies on disk.
struct StoredImage {
  Digest manifest_digest;
  std::filesystem::path squashfs;  ///< image.sqsh; a symlink to the user's file where an existing .sqsh was recorded
  std::filesystem::path manifest;
  std::filesystem::path config;
};

class Store {
 public:
  /// Opens or creates the store. Throws Error where it belongs to someone else and is not ours to write, with the hint to
  /// set MLCTR_STORE. Access::read_only never creates or writes anything (listing works on another's store).
  enum class Access { read_only, read_write };
  Store(std::filesystem::path root, Access access);

  const std::filesystem::path& root() const noexcept { return root_; }

  // Layers.
  std::filesystem::path layer_path(const Digest& diff_id) const;
  bool has_layer(const Digest& diff_id) const;
  /// Marks the layer as used now (its age for gc).
  void touch_layer(const Digest& diff_id);
  /// Waits until no other process on any node pulls this layer; `on_wait` is called once if that takes a wait.
  Lock lock_layer(const Digest& diff_id, std::stop_token stop, const std::function<void(const LockOwner&)>& on_wait);
  std::optional<Lock> try_lock_layer(const Digest& diff_id);
  /// Where a layer being converted is written, then committed to layer_path(). Hold the layer's lock.
  TemporaryFile new_layer_file(const Digest& diff_id);
  /// Where a blob's bytes gather while it downloads; kept when a pull is cut, for the next to go on. Hold the layer's lock.
  std::filesystem::path partial_blob_path(const Digest& blob_digest) const;

  // Images.
  std::optional<StoredImage> find_image(const Digest& manifest_digest) const;
  Lock lock_image(const Digest& manifest_digest, std::stop_token stop, const std::function<void(const LockOwner&)>& on_wait);
  /// An image being made: write into file(), then commit; nothing is left where it is destroyed before.
  class NewImage;
  NewImage new_image(const Digest& manifest_digest);
  std::vector<StoredImage> images() const;

  // References.
  void set_reference(const ReferenceRecord& record);
  std::optional<ReferenceRecord> find_reference(const std::string& canonical) const;
  std::vector<ReferenceRecord> references() const;  ///< sorted by reference; unreadable ones are skipped
  bool remove_reference(const std::string& canonical);

 private:
  std::filesystem::path root_;
};

}  // namespace mlctr
