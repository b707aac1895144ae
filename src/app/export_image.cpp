#include "app/export_image.hpp"

#include <algorithm>
#include <vector>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/extent_copy.hpp"

namespace mlctr {
namespace {

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
  const squashfs::ImageFile image(source.get(), squashfs, 0);
  squashfs::copy_image(image, copy.fd(), std::move(stop), nullptr);
  copy.commit();
  return image.size();
}

std::uint64_t write_squashfs(const std::filesystem::path& squashfs, int to, std::string_view to_name,
                             std::stop_token stop) {
  const Fd source = open_regular_file(squashfs);
  const squashfs::ImageFile image(source.get(), squashfs, 0);
  std::vector<std::byte> buffer(k_stream_part_bytes);
  for (std::uint64_t done = 0; done < image.size(); done += buffer.size()) {
    if (stop.stop_requested()) throw Cancelled();
    buffer.resize(std::min<std::uint64_t>(k_stream_part_bytes, image.size() - done));
    image.read(done, buffer);
    write_all(to, buffer, to_name);
  }
  return image.size();
}

}  // namespace mlctr
