#include "app/record_squashfs.hpp"

#include <fcntl.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "image/config.hpp"
#include "image/manifest.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/tables.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

Digest hash_file(int fd, const std::string& name, ProgressItem& progress, const std::stop_token& stop) {
  Hasher hasher;
  std::vector<std::byte> buffer(1u << 20);
  std::uint64_t done = 0;
  while (const std::size_t got = read_at(fd, buffer, done, name)) {
    if (stop.stop_requested()) throw Cancelled();
    hasher.update(std::span(buffer).first(got));
    done += got;
    progress.converted_bytes = done;
  }
  return Digest::from_hex(HashAlgorithm::sha256, hasher.finish_hex());
}

std::string empty_image_config(const Platform& platform) {
  const nlohmann::ordered_json config = {
      {"architecture", platform.architecture},
      {"os", platform.os},
      {"config", nlohmann::ordered_json::object()},
      {"rootfs", {{"type", "layers"}, {"diff_ids", nlohmann::ordered_json::array()}}}};
  return config.dump();
}

// What the file says of itself, or what an image says that says nothing.
struct SelfDescription {
  std::string manifest_body, config_body;
};

SelfDescription describe(int fd, const std::filesystem::path& file, const Platform& platform) {
  const squashfs::Reader reader(fd, file);
  squashfs::read_tree(reader);  // all of its tables, once: what is recorded must be whole
  const auto own = [&](const char* path, std::uint64_t max_bytes) {
    return squashfs::read_small_file(reader, path, max_bytes).value_or("");
  };
  SelfDescription description{own("/.mlctr/manifest.json", k_max_manifest_bytes),
                              own("/.mlctr/config.json", k_max_config_bytes)};
  if (description.config_body.empty()) description.config_body = empty_image_config(platform);
  if (description.manifest_body.empty()) {
    description.manifest_body = write_manifest({.media_type = "application/vnd.oci.image.manifest.v1+json",
                                                .config = {.media_type = "application/vnd.oci.image.config.v1+json",
                                                           .digest = Digest::of(description.config_body),
                                                           .size_bytes = description.config_body.size(),
                                                           .urls = {}},
                                                .layers = {}});
  }
  // Read as strictly as what a registry sends: later commands trust what is in the store.
  parse_manifest(description.manifest_body, {});
  parse_image_config(description.config_body);
  return description;
}

void add_to_store(Store& store, const Digest& digest, const std::filesystem::path& file, int fd,
                  const SelfDescription& description, SquashfsCopy copy) {
  Store::NewImage image = store.new_image(digest);
  if (copy == SquashfsCopy::into_store) {
    copy_range(fd, 0, image.fd(), 0, file_size(fd, file.string()), image.path().string());
  } else {
    image.record_existing(file);
  }
  image.commit(description.manifest_body, description.config_body);
}

}  // namespace

PullResult record_squashfs(const std::filesystem::path& file, const PullRequest& request,
                           const Configuration& configuration, ProgressBoard& board, std::stop_token stop) {
  const std::filesystem::path path = std::filesystem::absolute(file).lexically_normal();
  const Fd fd = open_regular_file(path);
  const SelfDescription description = describe(fd.get(), path, request.platform);

  const auto progress = board.add(path.filename().string(), file_size(fd.get(), path.string()), ProgressKind::image);
  progress->phase = Phase::converting;
  const Digest digest = hash_file(fd.get(), path.string(), *progress, stop);
  progress->phase = Phase::done;

  Store store(configuration.store, Store::Access::read_write);
  const Lock lock = store.lock_image(digest, stop, {});
  std::optional<StoredImage> known = store.find_image(digest);
  const bool is_copy_wanted = request.squashfs_copy == SquashfsCopy::into_store;
  if (known && is_copy_wanted && std::filesystem::is_symlink(known->squashfs)) {
    store.remove_image(digest);  // only its path was recorded: the copy takes its place
    known.reset();
  }
  const bool was_present = known.has_value();
  if (!was_present) add_to_store(store, digest, path, fd.get(), description, request.squashfs_copy);
  store.set_reference({reference_key(path.string()), digest, std::time(nullptr)});

  return {.reference = path.string(),
          .manifest_digest = digest,
          .squashfs = store.find_image(digest)->squashfs,
          .image_bytes = file_size(fd.get(), path.string()),
          .was_present = was_present};
}

}  // namespace mlctr
