#include "app/export_image.hpp"

#include <algorithm>
#include <vector>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// A stop is heeded between two parts; a filesystem that shares extents makes each part at once.
constexpr std::uint64_t k_part_bytes = 64u << 20;
constexpr std::size_t k_stream_part_bytes = 1u << 20;

}  // namespace

ExportedImage export_image(const Configuration& configuration, const ExportRequest& request, std::stop_token stop) {
  const FoundImage found = require_image(configuration, request.image);
  const std::uint64_t bytes =
      copy_squashfs(found.image.squashfs, request.destination, request.overwrite, std::move(stop));
  return {.manifest_digest = found.image.manifest_digest, .file = request.destination, .bytes = bytes};
}

std::uint64_t copy_squashfs(const std::filesystem::path& squashfs, const std::filesystem::path& destination,
                            Overwrite overwrite, std::stop_token stop) {
  DestinationFile copy(destination, overwrite);
  const Fd source = open_regular_file(squashfs);
  const std::uint64_t bytes = file_size(source.get(), squashfs.string());
  for (std::uint64_t offset = 0; offset < bytes; offset += k_part_bytes) {
    if (stop.stop_requested()) throw Cancelled();
    copy_range(source.get(), offset, copy.fd(), offset, std::min(k_part_bytes, bytes - offset), destination.string());
  }
  copy.commit();
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
