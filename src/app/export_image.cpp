#include "app/export_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// A stop is heeded between two parts; a filesystem that shares extents makes each part at once.
constexpr std::uint64_t k_part_bytes = 64u << 20;
constexpr std::size_t k_stream_part_bytes = 1u << 20;

// Beside the destination, since only there a rename can't cross filesystems; hidden, and no other process's name.
std::filesystem::path temporary_beside(const std::filesystem::path& destination) {
  return destination.parent_path() / fmt::format(".{}.{}", destination.filename().string(), random_suffix());
}

[[noreturn]] void refuse_existing(const std::filesystem::path& destination) {
  throw UsageError(fmt::format("cannot write {}: it exists", destination.string()), "replace it with --force");
}

// Gives `from` its name only where nothing has that name, in one step: a look before would leave a moment for someone
// else's file. `from` may keep its old name too.
void place_new_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) refuse_existing(to);
  // NFS and many FUSE filesystems know no such rename (EINVAL; ENOSYS before Linux 3.15), but links.
  if (errno != EINVAL && errno != ENOSYS) throw SysError(fmt::format("cannot write {}", to.string()));
  if (::link(from.c_str(), to.c_str()) == 0) return;
  if (errno == EEXIST) refuse_existing(to);
  // Neither: an empty file holds the name until the rename replaces it.
  const Fd claim(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!claim && errno == EEXIST) refuse_existing(to);
  if (!claim) throw SysError(fmt::format("cannot write {}", to.string()));
  rename_file(from, to);
}

void commit(TemporaryFile& copy, const std::filesystem::path& target, Overwrite overwrite) {
  if (overwrite == Overwrite::replace) return copy.commit(target);
  sync_file(copy.fd(), target.string());
  place_new_file(copy.path(), target);  // the temporary name, where it is left, goes with `copy`
  sync_directory(target.parent_path());
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
  if (!std::filesystem::is_directory(std::filesystem::absolute(destination).parent_path(), missing)) {
    throw UsageError(fmt::format("cannot write {}: there is no such directory", destination.string()));
  }
  if (std::filesystem::exists(status) && overwrite == Overwrite::refuse) refuse_existing(destination);
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
  check_destination(target, overwrite);  // a copy takes a while: someone may have put a device there
  commit(copy, target, overwrite);
  return bytes;
}

std::uint64_t write_squashfs(const std::filesystem::path& squashfs, int to, std::string_view to_name,
                             std::stop_token stop) {
  const Fd source = open_regular_file(squashfs);
  std::vector<std::byte> buffer(k_stream_part_bytes);
  std::uint64_t done = 0;
  while (const std::size_t got = read_at(source.get(), buffer, done, squashfs.string())) {
    if (stop.stop_requested()) throw Cancelled();
    write_all(to, std::span(buffer).first(got), to_name);
    done += got;
  }
  return done;
}

}  // namespace mlctr
