#include "app/export_image.hpp"

#include <span>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/extent_copy.hpp"

namespace mlctr {
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
  const squashfs::ImageFile image(source.get(), squashfs, 0);
  squashfs::copy_image(image, copy.fd(), std::move(stop), nullptr);
  copy.commit();
  return image.size();
}

std::uint64_t write_squashfs(const std::filesystem::path& squashfs, int to, std::string_view to_name,
                             std::stop_token stop) {
  const Fd source = open_regular_file(squashfs);
  const squashfs::ImageFile image(source.get(), squashfs, 0);
  squashfs::stream_image(
      image, [&](std::span<const std::byte> part) { write_all(to, part, to_name); }, stop);
  return image.size();
}

}  // namespace mlctr
