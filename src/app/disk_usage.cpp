#include "app/disk_usage.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "app/open_stores.hpp"
#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "image/config.hpp"
#include "image/piece_name.hpp"
#include "store/allocation.hpp"
#include "store/layer_companions.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

using LayersOfImages = std::map<Digest, std::set<Digest>>;

std::set<Digest> layers_of(const StoredImage& image, std::vector<BrokenEntry>& broken) {
  try {
    const ImageConfig config = parse_image_config(read_file(image.config, k_max_config_bytes));
    return {config.diff_ids.begin(), config.diff_ids.end()};
  } catch (const Error& error) {
    broken.push_back({image.squashfs.parent_path(), error.message()});
    return {};
  }
}

void measure_images(const Store& store, Allocation& allocation, LayersOfImages& layers_of_images, DiskUsage& usage) {
  const ReferenceListing references = store.list_references();
  usage.broken = references.broken;
  for (const StoredImage& image : store.images()) {
    ImageUsage measured{.manifest_digest = image.manifest_digest};
    measured.image_bytes = allocated_bytes_below(image.squashfs.parent_path());
    for (const ReferenceRecord& record : references.records) {
      if (record.manifest_digest == image.manifest_digest) measured.references.push_back(record.reference);
    }
    usage.images_bytes += allocation.add(image.squashfs.parent_path());  // a piece that several have once
    layers_of_images[image.manifest_digest] = layers_of(image, usage.broken);
    usage.images.push_back(std::move(measured));
  }
}

// After images and containers: a layer that is a piece of one takes nothing besides.
void measure_layers(const Store& store, Allocation& allocation, const LayersOfImages& layers_of_images,
                    DiskUsage& usage) {
  for (const StoredLayer& layer : store.layers()) {
    std::uint64_t bytes = allocation.add(store.layer_path(layer.diff_id));
    for (const auto& companion : layer_companions(store.layer_path(layer.diff_id))) bytes += allocation.add(companion);
    const auto has_it = [&](const ImageUsage& image) {
      return layers_of_images.at(image.manifest_digest).contains(layer.diff_id);
    };
    const auto users = std::count_if(usage.images.begin(), usage.images.end(), has_it);
    for (ImageUsage& image : usage.images) {
      if (has_it(image)) (users > 1 ? image.shared_layer_bytes : image.unique_layer_bytes) += bytes;
    }
    if (users == 0) usage.unused_layers_bytes += bytes;
    usage.layers_bytes += bytes;
    ++usage.layers;
  }
}

std::vector<std::filesystem::path> entries_of(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  return entries;
}

// After the images, whose files containers have under a second name.
void measure_containers(const std::filesystem::path& root, Allocation& allocation, DiskUsage& usage) {
  for (const auto& directory : entries_of(root)) {
    ContainerUsage measured{.name = directory.filename().string()};
    for (const auto& part : entries_of(directory)) {
      const std::uint64_t bytes = allocation.add(part);
      if (part.filename() == "upper") measured.changes_bytes = bytes;
      if (part.filename() == "image.sqsh" || part.extension() == k_piece_suffix) measured.image_bytes += bytes;
      (measured.name.starts_with(".build-") ? usage.build_bytes : usage.containers_bytes) += bytes;
    }
    if (is_container_name(measured.name)) usage.containers.push_back(std::move(measured));
  }
  std::ranges::stable_sort(usage.containers, std::ranges::greater(), &ContainerUsage::changes_bytes);
}

}  // namespace

DiskUsage disk_usage(const Configuration& configuration) {
  const Store store = open_own_store(configuration);
  DiskUsage usage{.store = store.root()};
  Allocation allocation;  // one for all: a file may have names in several parts of the store
  LayersOfImages layers_of_images;
  measure_images(store, allocation, layers_of_images, usage);
  for (const TemporaryEntry& entry : store.temporaries()) usage.partial_bytes += allocation.add(entry.path);
  usage.build_steps = list_directory(store.root() / "steps").size();
  measure_containers(open_containers(configuration).root(), allocation, usage);
  measure_layers(store, allocation, layers_of_images, usage);
  usage.total_bytes =
      usage.images_bytes + usage.layers_bytes + usage.partial_bytes + usage.containers_bytes + usage.build_bytes;
  // The store may be yet to be.
  usage.free_bytes = free_bytes(nearest_existing(store.root()));
  std::stable_sort(usage.images.begin(), usage.images.end(),
                   [](const ImageUsage& a, const ImageUsage& b) { return a.image_bytes > b.image_bytes; });
  return usage;
}

}  // namespace mlctr
