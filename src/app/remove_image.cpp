#include "app/remove_image.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "app/find_image.hpp"
#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "store/allocation.hpp"
#include "store/image_link.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

std::vector<std::string> names_of(const Store& store, const Digest& manifest_digest) {
  std::vector<std::string> names;
  for (const ReferenceRecord& record : references_to({store}, manifest_digest)) names.push_back(record.reference);
  return names;
}

// What the user means in the store: a name (whose image may be gone already), or an image by its digest.
struct Target {
  Digest manifest_digest;
  std::optional<std::string> reference;
};

Target find_target(const Store& store, const Configuration& configuration, std::string_view text) {
  Configuration own_store_only = configuration;
  own_store_only.extra_stores.clear();
  const std::optional<FoundImage> found = find_image(own_store_only, text);
  if (found && !found->record) return {found->image.manifest_digest, std::nullopt};
  if (found) return {found->image.manifest_digest, found->record->reference};
  if (!parse_image_id(text)) {
    if (const auto record = store.find_reference(reference_key(text)))
      return {record->manifest_digest, record->reference};
  }
  throw Error(fmt::format("no image {} in the store {}", printable(text), store.root().string()),
              "`mlctr images` lists what there is");
}

std::vector<std::string> names_to_remove(const Store& store, const Target& target) {
  if (target.reference) return {*target.reference};
  std::vector<std::string> references = names_of(store, target.manifest_digest);
  if (references.size() <= 1) return references;
  throw Error(
      fmt::format("image {} has several names: {}", target.manifest_digest.short_hex(), fmt::join(references, ", ")),
      "remove them by name: the last one takes the image with it");
}

void check_not_needed(const ImageUsers& users, std::string_view text) {
  if (users.dependent.empty()) return;
  throw Error(fmt::format("cannot remove {}: the container{} {} {} it", printable(text, 4096),
                          users.dependent.size() == 1 ? "" : "s", fmt::join(users.dependent, ", "),
                          users.dependent.size() == 1 ? "needs" : "need"),
              fmt::format("`mlctr rm {}` first", fmt::join(users.dependent, " ")));
}

// Of the pieces that only the layer cache has besides.
std::uint64_t bytes_left_cached(const Store& store, const StoredImage& image) {
  constexpr nlink_t k_both = 2;
  std::uint64_t bytes = 0;
  const std::filesystem::path directory = image.squashfs.parent_path();
  for (const std::string& name : list_directory(directory)) {
    struct stat piece {
    }, layer{};
    const auto diff_id = diff_id_of_piece(name);
    if (!diff_id || ::lstat((directory / name).c_str(), &piece) != 0) continue;
    const bool is_layer = ::lstat(store.layer_path(*diff_id).c_str(), &layer) == 0;
    if (is_layer && layer.st_ino == piece.st_ino && piece.st_nlink == k_both) bytes += allocated_bytes(piece);
  }
  return bytes;
}

// Broken ones too (the file that was recorded is away), which find_image() does not take for images.
std::optional<StoredImage> find_stored(const Store& store, const Digest& manifest_digest) {
  for (StoredImage& image : store.images()) {
    if (image.manifest_digest == manifest_digest) return std::move(image);
  }
  return std::nullopt;
}

}  // namespace

RemovedImage remove_image(const Configuration& configuration, std::string_view text, std::stop_token stop) {
  Store store(configuration.store, Store::Access::read_write);
  const Target target = find_target(store, configuration, text);
  const Lock lock = store.lock_image(target.manifest_digest, std::move(stop), {});

  const std::vector<std::string> to_remove = names_to_remove(store, target);
  const std::optional<StoredImage> image = find_stored(store, target.manifest_digest);
  const ImageUsers users = image ? open_containers(configuration).users_of(image->squashfs) : ImageUsers{};
  if (names_of(store, target.manifest_digest).size() <= to_remove.size()) check_not_needed(users, text);

  RemovedImage result{.manifest_digest = target.manifest_digest};
  for (const std::string& reference : to_remove) {
    if (store.remove_reference(reference)) result.removed_references.push_back(reference);
  }
  result.remaining_references = names_of(store, target.manifest_digest);
  if (!result.remaining_references.empty()) {
    result.image = RemovedImage::Image::kept;
    return result;
  }
  if (!image) return result;
  // What the last name of a file takes with it is freed, and no more.
  const std::uint64_t freed = freed_bytes_below(image->squashfs.parent_path());
  const std::uint64_t cached = bytes_left_cached(store, *image);
  if (store.remove_image(target.manifest_digest)) {
    result.freed_bytes = freed;
    result.cached_bytes = cached;
  }
  result.containers = users.linked;
  return result;
}

}  // namespace mlctr
