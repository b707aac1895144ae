// An image on its way into the store: a directory under tmp/ that becomes images/sha256/<digest>/ by one rename.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "base/fd.hpp"
#include "base/unnamed_file.hpp"

namespace mlctr {

/// Whether `directory` has all of an image's files; false too where the .sqsh that it records is gone.
bool is_whole_image(const std::filesystem::path& directory);

class NewImage {
 public:
  /// Creates `directory`; it is renamed to `final_directory`, whose parent exists.
  NewImage(std::filesystem::path directory, std::filesystem::path final_directory);
  NewImage(NewImage&& other) noexcept;
  NewImage& operator=(NewImage&&) = delete;
  ~NewImage();

  /// image.sqsh, for the caller to write: open for reading and writing, empty at first.
  int fd() const noexcept { return file_.get(); }
  std::filesystem::path path() const { return directory_ / "image.sqsh"; }
  /// Where it lies, and pieces of it may.
  const std::filesystem::path& directory() const noexcept { return directory_; }

  /// Instead of writing: image.sqsh is `file`, made below the same store.
  void take(UnnamedFile& file);

  /// Instead of writing: image.sqsh becomes a symlink to the user's own file (made absolute), which is neither copied
  /// nor ever removed by us. Once that file's time differs from now, the image counts as gone: it was named after its
  /// content.
  void record_existing(const std::filesystem::path& squashfs);

  /// Writes manifest.json and config.json, syncs everything and moves the image to its place. Where another process was
  /// first, its image stays (images never change once there) and ours is dropped.
  void commit(std::string_view manifest_bytes, std::string_view config_bytes);

 private:
  void move_into_place();
  void discard() noexcept;

  std::filesystem::path directory_;  ///< empty once committed
  std::filesystem::path final_directory_;
  Fd file_;
};

}  // namespace mlctr
