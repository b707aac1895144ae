// Named containers on disk: an image and the changes made to it (DESIGN, "The store"). On a node's own filesystem:
// overlayfs writes to `upper` directly.
//
//   <root>/<name>/{container.json,config.json,image.sqsh,upper/,work/}
//
// image.sqsh is a hard link to the store's image where the filesystem allows, else a symlink: so that a container
// outlives its image's reference. A container is visible whole or not at all: made under a name with a dot, then
// renamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace mlctr {

/// container.json.
struct ContainerRecord {
  std::string name;
  std::string image;                 ///< the reference it was made from, canonical; or a path
  std::string manifest_digest;       ///< empty for a squashfs file that is no image of mlctr's
  std::int64_t created_at = 0;       ///< seconds since 1970
  std::int64_t file_changed_at = 0;  ///< of a squashfs file's content, in nanoseconds since 1970; 0: not known
  std::string job{};                 ///< the Slurm job that it ends with; empty: none
};

/// When the content of a file, or of what a link leads to, changed: ContainerRecord::file_changed_at; 0 where that
/// can't be told.
std::int64_t file_changed_at(const std::filesystem::path& file);

struct StoredContainer {
  ContainerRecord record;
  std::filesystem::path squashfs, config;  ///< `config` is an empty file where the image has none
  std::filesystem::path upper, work;
  std::filesystem::path copy;  ///< where there is such a directory: all its files, instead of the image's and `upper`
};

struct ContainerListing {
  std::vector<StoredContainer> containers;  ///< sorted by name
  std::vector<BrokenEntry> broken;
};

/// Throws UsageError where `name` can't be a container's: 1 to 64 of A-Z a-z 0-9 _ . -, beginning with a letter or
/// digit.
void check_container_name(std::string_view name);
/// Whether it could be one.
bool is_container_name(std::string_view name);

/// Containers of one image, by name. Those that are linked have the file under a name of their own and keep it whatever
/// becomes of the image; those that depend on it lead there by a symlink.
struct ImageUsers {
  std::vector<std::string> linked, dependent;
};

class ContainerStore {
 public:
  explicit ContainerStore(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const noexcept { return root_; }

  /// Whether there is one of that name, whole or broken.
  bool has(std::string_view name) const;
  /// Throws Error where its record is broken.
  std::optional<StoredContainer> find(std::string_view name) const;
  /// Creates the root as well. Absent where a container of this name is there already (another process was faster).
  std::optional<StoredContainer> create(const ContainerRecord& record, const std::filesystem::path& squashfs,
                                        std::string_view config) const;
  ContainerListing list() const;
  /// Broken ones too.
  ImageUsers users_of(const std::filesystem::path& squashfs) const;
  /// Takes it out of sight, at once: a container half removed must never run. Where it lies then; absent where it was
  /// not there (any more). No process may be using it.
  std::optional<std::filesystem::path> set_aside(std::string_view name) const;
  /// Removes what set_aside() returned, directories that nobody may read included.
  void remove_aside(const std::filesystem::path& aside) const;
  /// What a killed create() or remove_aside() left, for remove_aside().
  std::vector<std::filesystem::path> leftovers() const;

 private:
  StoredContainer at(std::string_view name) const;

  std::filesystem::path root_;
};

}  // namespace mlctr
