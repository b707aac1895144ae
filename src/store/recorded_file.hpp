// A user's own .sqsh that an image of the store only points to: a symlink, with the file's time of change as its own.
#pragma once

#include <filesystem>
#include <optional>

namespace mlctr {

struct RecordedFile {
  enum class State {
    unchanged,
    changed,  ///< written to since: an image is named after its content, so this is another one
    away      ///< deleted, or on a filesystem that is not mounted here
  };
  std::filesystem::path path;
  State state = State::unchanged;
};

/// Makes `link`, which must not exist. Throws SysError.
void record_file(const std::filesystem::path& link, const std::filesystem::path& file);

/// Absent where `link` is no symlink: the image has a file of its own, or none.
std::optional<RecordedFile> read_recorded_file(const std::filesystem::path& link);

}  // namespace mlctr
