#include "app/destination_file.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/path.hpp"

namespace mlctr {
namespace {

[[noreturn]] void refuse_existing(const std::filesystem::path& destination) {
  throw UsageError(fmt::format("cannot write {}: it exists", destination.string()), "replace it with --force");
}

std::filesystem::path checked_target(const std::filesystem::path& destination, Overwrite overwrite) {
  check_destination(destination, overwrite);
  return absolute_path(destination);
}

}  // namespace

void check_destination(const std::filesystem::path& destination, Overwrite overwrite) {
  if (destination.empty()) {
    throw UsageError("the name of the file to write is empty", "name a file, or - for standard output");
  }
  std::error_code missing;
  const std::filesystem::file_status status = std::filesystem::symlink_status(destination, missing);
  if (std::filesystem::is_directory(std::filesystem::status(destination, missing))) {
    throw UsageError(fmt::format("cannot write {}: it is a directory", destination.string()),
                     fmt::format("name the file: {}", (destination / "image.sqsh").string()));
  }
  // A link is replaced like a file, never written through; a device or a FIFO is nothing to lose by a slip.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
      !std::filesystem::is_symlink(status)) {
    throw UsageError(fmt::format("cannot write {}: it exists and is not a regular file", destination.string()));
  }
  if (!std::filesystem::is_directory(absolute_path(destination).parent_path(), missing)) {
    throw UsageError(fmt::format("cannot write {}: there is no such directory", destination.string()));
  }
  if (std::filesystem::exists(status) && overwrite == Overwrite::refuse) refuse_existing(destination);
}

DestinationFile::DestinationFile(const std::filesystem::path& destination, Overwrite overwrite)
    : target_(checked_target(destination, overwrite)), overwrite_(overwrite), file_(target_.parent_path()) {}

void DestinationFile::commit() {
  check_destination(target_, overwrite_);  // writing takes a while: someone may have put a device there
  sync_file(file_.fd(), target_.string());
  if (overwrite_ == Overwrite::replace) {
    file_.replace(target_);
  } else if (!file_.link(target_)) {
    refuse_existing(target_);
  }
  sync_directory(target_.parent_path());
}

}  // namespace mlctr
