#include "squashfs/kept_layers.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_min_piece_bytes = 4u << 20;
constexpr mode_t k_readers = S_IRUSR | S_IRGRP | S_IROTH;

struct stat status_of(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) throw SysError("cannot look at a layer");
  return status;
}

// By its descriptor: the layer of that name may be another one by now, or none.
bool link_beside(int layer, int image, const std::filesystem::path& name) {
  const struct stat of_layer = status_of(layer), of_image = status_of(image);
  if (of_layer.st_dev != of_image.st_dev || of_layer.st_uid != of_image.st_uid || of_layer.st_gid != of_image.st_gid ||
      (of_layer.st_mode & k_readers) != (of_image.st_mode & k_readers)) {
    return false;
  }
  const std::string by_descriptor = fmt::format("/proc/self/fd/{}", layer);
  if (::linkat(AT_FDCWD, by_descriptor.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  struct stat there {};
  return errno == EEXIST && ::lstat(name.c_str(), &there) == 0 && there.st_ino == of_layer.st_ino;
}

}  // namespace

ImagePieces keep_layers(std::vector<PlacedPart>& parts, int image, const std::filesystem::path& directory) {
  const auto name_of = [](const PlacedPart& part) {
    return part.part.piece.empty() ? piece_name(part.layer) : std::string(part.part.piece);
  };
  std::map<int, std::uint64_t> bytes;  // by file
  for (const PlacedPart& part : parts) bytes[part.part.file] += part.part.size;
  ImagePieces pieces;
  std::map<int, std::uint64_t> kept;  // numbers of pieces
  for (const PlacedPart& part : parts) {
    const int file = part.part.file;
    const std::string name = name_of(part);
    if (bytes[file] < k_min_piece_bytes || name.empty()) continue;
    bytes[file] = 0;  // looked at
    if (!link_beside(file, image, directory / name)) continue;
    kept.emplace(file, pieces.names.size());
    pieces.names.push_back(name);
  }
  std::erase_if(parts, [&](const PlacedPart& part) {
    const auto piece = kept.find(part.part.file);
    if (piece == kept.end()) return false;
    pieces.segments.push_back({.at = part.to, .size = part.part.size, .from = part.part.at, .piece = piece->second});
    return true;
  });
  return pieces;
}

}  // namespace mlctr::squashfs
