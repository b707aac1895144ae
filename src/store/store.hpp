// The store: layer files, images and references on disk (DESIGN, "The store"). What is visible in it is whole:
// everything arrives by fsync + rename; any process on any node of a shared filesystem may die at any moment.
//
//   layers/sha256/<diff_id>.sqsh
//   images/sha256/<manifest digest>/{image.sqsh,manifest.json,config.json}
//   references/<registry>/<repository>/<tag>.json        (names: store/reference_path.hpp)
//   locks/{layer,image}-sha256-<hex>.lock  tmp/
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "image/digest.hpp"
#include "store/file_time.hpp"
#include "store/lock.hpp"
#include "store/new_image.hpp"
#include "store/recorded_file.hpp"

namespace mlctr {

/// What a reference meant when it was pulled: references/….json.
struct ReferenceRecord {
  std::string reference;  ///< canonical, ImageReference::to_string() without user; or the path of a recorded .sqsh
  Digest manifest_digest;
  std::int64_t pulled_at = 0;  ///< seconds since 1970
};

/// images/sha256/<digest>/ as it lies on disk.
struct StoredImage {
  Digest manifest_digest;
  std::filesystem::path squashfs;  ///< image.sqsh; a symlink to the user's file where an existing .sqsh was recorded
  std::filesystem::path manifest;
  std::filesystem::path config;
};

/// A file of the store that is not what its place says.
struct BrokenEntry {
  std::filesystem::path path;
  std::string problem;
};

struct StoredLayer {
  Digest diff_id;
  std::uint64_t allocated_bytes = 0;
  FileTime last_used;
  bool is_piece = false;  ///< of an image or a container, which has its file as well: removing it frees nothing
};

/// What lies in tmp/: a download to go on with, or what a killed process left.
struct TemporaryEntry {
  enum class Kind { partial_blob, layer, image, other };
  Kind kind = Kind::other;
  std::filesystem::path path;
  std::optional<Digest> digest;  ///< whose lock its maker holds: a diff_id, or an image's manifest digest
  std::uint64_t allocated_bytes = 0;
  FileTime changed;
};

struct ReferenceListing {
  std::vector<ReferenceRecord> records;  ///< sorted by reference
  std::vector<BrokenEntry> broken;
};

class Store {
 public:
  /// Opens or creates the store. Throws Error where it belongs to someone else and is not ours to write, with the hint
  /// to set MLCTR_STORE. Access::read_only never creates or writes anything (listing works on another's store); one
  /// that does not exist is empty then.
  enum class Access { read_only, read_write };
  Store(std::filesystem::path root, Access access);

  const std::filesystem::path& root() const noexcept { return root_; }

  // Layers.
  std::filesystem::path layer_path(const Digest& diff_id) const;
  bool has_layer(const Digest& diff_id) const;
  /// Marks the layer as used now (its age for gc); false where it is not there. A pull that was told true, and holds
  /// its image's lock since before, keeps the layer: gc leaves it alone.
  bool touch_layer(const Digest& diff_id);
  /// Waits until no other process on any node pulls this layer; `on_wait` is called once if that takes a wait.
  [[nodiscard]] Lock lock_layer(const Digest& diff_id, std::stop_token stop,
                                const std::function<void(const LockOwner&)>& on_wait);
  [[nodiscard]] std::optional<Lock> try_lock_layer(const Digest& diff_id);
  /// Where a layer being converted is written, then committed to layer_path(). Hold the layer's lock: what dead holders
  /// left is removed. Every call has its own file, so a holder that lost its lock and wakes up again spoils nothing.
  [[nodiscard]] TemporaryFile new_layer_file(const Digest& diff_id);
  /// Where a blob's bytes gather while it downloads; kept when a pull is cut, for the next to go on. Hold the layer's
  /// lock. Named after the layer too: gc must know whose lock guards it, and two configs may lie about one blob's
  /// diff_id.
  std::filesystem::path partial_blob_path(const Digest& blob_digest, const Digest& diff_id) const;
  std::vector<StoredLayer> layers() const;  ///< least recently used first
  /// Hold the layer's lock. False where it is gone already, or was used after `seen_last_used`: then it stays.
  bool remove_layer(const Digest& diff_id, FileTime seen_last_used);

  // Images.
  std::optional<StoredImage> find_image(const Digest& manifest_digest) const;
  [[nodiscard]] Lock lock_image(const Digest& manifest_digest, std::stop_token stop,
                                const std::function<void(const LockOwner&)>& on_wait);
  [[nodiscard]] std::optional<Lock> try_lock_image(const Digest& manifest_digest);
  /// An image being made: write into its file, then commit; nothing is left where it is destroyed before. Hold the
  /// image's lock, and set_reference before letting go of it: gc takes images that no reference leads to.
  using NewImage = mlctr::NewImage;
  [[nodiscard]] NewImage new_image(const Digest& manifest_digest);
  std::filesystem::path image_directory(const Digest& manifest_digest) const;
  /// The user's own .sqsh that this image points to, whatever became of it; absent where the image has its own.
  std::optional<RecordedFile> recorded_file(const Digest& manifest_digest) const;
  std::vector<StoredImage> images() const;  ///< sorted by digest; of a broken one some files are missing
  /// Hold the image's lock. False where it is gone already.
  bool remove_image(const Digest& manifest_digest);

  // References.
  void set_reference(const ReferenceRecord& record);
  /// Throws Error where the record is broken.
  std::optional<ReferenceRecord> find_reference(const std::string& canonical) const;
  std::vector<ReferenceRecord> references() const;  ///< sorted by reference; unreadable ones are skipped
  ReferenceListing list_references() const;
  bool remove_reference(const std::string& canonical);

  // For gc (store_garbage.cpp).
  std::vector<TemporaryEntry> temporaries() const;
  void remove_temporary(const TemporaryEntry& entry);
  /// Whether some process is making an image now.
  bool is_pulling() const;
  /// Removes the files of locks that nobody holds.
  void remove_idle_locks();
  /// The time by the clock that stamps this store's files (a file server's, perhaps).
  FileTime now();

 private:
  std::filesystem::path root_;
};

}  // namespace mlctr
