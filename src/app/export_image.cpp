#include "app/export_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// A stop is heeded between two parts; a filesystem that shares extents makes each part at once.
constexpr std::uint64_t k_part_bytes = 64u << 20;

// Beside the destination, since only there a rename can't cross filesystems; hidden, and no other process's name.
std::filesystem::path temporary_beside(const std::filesystem::path& destination) {
  return destination.parent_path() / fmt::format(".{}.{}", destination.filename().string(), random_suffix());
}

}  // namespace

void check_destination(const std::filesystem::path& destination, Overwrite overwrite) {
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
  if (!std::filesystem::is_directory(std::filesystem::absolute(destination).parent_path(), missing)) {
    throw UsageError(fmt::format("cannot write {}: there is no such directory", destination.string()));
  }
  if (std::filesystem::exists(status) && overwrite == Overwrite::refuse) {
    throw UsageError(fmt::format("cannot write {}: it exists", destination.string()), "replace it with --force");
  }
}

ExportedImage export_image(const Configuration& configuration, const ExportRequest& request, std::stop_token stop) {
  const FoundImage found = require_image(configuration, request.image);
  const std::uint64_t bytes =
      copy_squashfs(found.image.squashfs, request.destination, request.overwrite, std::move(stop));
  return {.manifest_digest = found.image.manifest_digest, .file = request.destination, .bytes = bytes};
}

std::uint64_t copy_squashfs(const std::filesystem::path& squashfs, const std::filesystem::path& destination,
                            Overwrite overwrite, std::stop_token stop) {
  const std::filesystem::path target = std::filesystem::absolute(destination);
  check_destination(target, overwrite);
  const Fd source = open_regular_file(squashfs);
  const std::uint64_t bytes = file_size(source.get(), squashfs.string());

  TemporaryFile copy(temporary_beside(target));
  for (std::uint64_t offset = 0; offset < bytes; offset += k_part_bytes) {
    if (stop.stop_requested()) throw Cancelled();
    copy_range(source.get(), offset, copy.fd(), offset, std::min(k_part_bytes, bytes - offset), destination.string());
  }
  check_destination(target, overwrite);  // a copy takes a while: someone may have put a file there
  copy.commit(target);
  return bytes;
}

}  // namespace mlctr
