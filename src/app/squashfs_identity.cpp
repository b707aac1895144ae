#include "app/squashfs_identity.hpp"

#include <nlohmann/json.hpp>
#include <span>

#include "app/enroot_image.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "image/config.hpp"
#include "image/manifest.hpp"
#include "squashfs/extent_copy.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/tables.hpp"

namespace mlctr {
namespace {

// Of an image that mlctr did not make: what enroot left in it, or nothing.
std::string foreign_image_config(const squashfs::Reader& image, const Platform& platform) {
  nlohmann::ordered_json config = {{"architecture", platform.architecture},
                                   {"os", platform.os},
                                   {"config", nlohmann::ordered_json::object()},
                                   {"rootfs", {{"type", "layers"}, {"diff_ids", nlohmann::ordered_json::array()}}}};
  const std::string enroots = enroot_config(image);
  if (!enroots.empty()) config["config"] = nlohmann::ordered_json::parse(enroots).at("config");
  return config.dump();
}

}  // namespace

Digest hash_squashfs(const squashfs::ImageFile& image, ProgressItem* progress, const std::stop_token& stop) {
  Hasher hasher;
  squashfs::stream_image(
      image,
      [&](std::span<const std::byte> part) {
        hasher.update(part);
        if (progress != nullptr) progress->converted_bytes += part.size();
      },
      stop);
  return Digest::from_hex(HashAlgorithm::sha256, hasher.finish_hex());
}

SquashfsIdentity identify_squashfs(int fd, const std::filesystem::path& file, const Platform& platform,
                                   ProgressItem& progress, const std::stop_token& stop) {
  const squashfs::Reader reader(fd, file);
  squashfs::read_tree(reader);  // all of its tables, once: what is recorded must be whole
  const auto own = [&](const char* path, std::uint64_t max_bytes) {
    return squashfs::read_small_file(reader, path, max_bytes).value_or("");
  };
  std::string config_body = own("/.mlctr/config.json", k_max_config_bytes);
  if (config_body.empty()) config_body = foreign_image_config(reader, platform);
  std::string manifest_body = own("/.mlctr/manifest.json", k_max_manifest_bytes);
  if (manifest_body.empty()) {
    manifest_body = write_manifest({.media_type = "application/vnd.oci.image.manifest.v1+json",
                                    .config = {.media_type = "application/vnd.oci.image.config.v1+json",
                                               .digest = Digest::of(config_body),
                                               .size_bytes = config_body.size(),
                                               .urls = {}},
                                    .layers = {}});
  }
  // Read as strictly as what a registry sends: later commands trust what is in the store.
  parse_manifest(manifest_body, {});
  parse_image_config(config_body);
  progress.phase = Phase::converting;
  const Digest digest = hash_squashfs(reader.image(), &progress, stop);
  progress.phase = Phase::done;
  return {digest, std::move(manifest_body), std::move(config_body)};
}

}  // namespace mlctr
