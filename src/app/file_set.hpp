// The files of an image that was saved to disk, by their path inside it: a directory, or a tar (compressed or not) that
// is read in place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "app/image_origin.hpp"
#include "base/fd.hpp"

namespace mlctr {

class FileSet {
 public:
  virtual ~FileSet() = default;

  /// A stretch of an open file; `fd` lives as long as the set or longer.
  struct Range {
    std::shared_ptr<Fd> file;
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;
  };
  /// `path` is relative ("blobs/sha256/…"); in a tar "./x" and "x" are one. Absent where the set has no such file.
  virtual std::optional<Range> find(const std::string& path) const = 0;

  /// For messages: the directory or the archive.
  virtual const std::filesystem::path& name() const = 0;

  /// The whole file as text; throws Error where it is missing or larger than `max_bytes`.
  std::string read(const std::string& path, std::uint64_t max_bytes) const;
};

std::unique_ptr<FileSet> open_directory(const std::filesystem::path& path);

/// For archives that are compressed as a whole.
struct UnpackLimits {
  std::filesystem::path scratch_directory;
  std::uint64_t max_bytes = 0;
  std::stop_token stop;
};

/// A compressed archive (gzip, zstd, xz, bzip2) is first unpacked to a nameless file: its parts must be read in any
/// order.
std::unique_ptr<FileSet> open_tar(const std::filesystem::path& path, const UnpackLimits& limits);

/// A layer that needs no transfer.
std::unique_ptr<LayerStream> stream_range(FileSet::Range range, ProgressItem& progress, std::stop_token stop);

}  // namespace mlctr
