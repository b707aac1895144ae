#include "app/list_images.hpp"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "app/find_image.hpp"
#include "app/lost_recording.hpp"
#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "image/config.hpp"

namespace mlctr {
namespace {

ListedImage describe(const Store& store, const StoredImage& image) {
  const ImageConfig config = parse_image_config(read_file(image.config, k_max_config_bytes));
  const Fd squashfs = open_file(image.squashfs, O_RDONLY);
  return {.reference = {},
          .familiar_reference = {},
          .manifest_digest = image.manifest_digest,
          .store = store.root(),
          .squashfs = image.squashfs,
          .size_bytes = file_size(squashfs.get(), image.squashfs.string()),
          .created = config.created,
          .pulled_at = 0,
          .platform = config.platform,
          .layers = config.diff_ids.size()};
}

// Collects the images of all stores under their names, then those that lost their names.
class Lister {
 public:
  explicit Lister(const std::vector<Store>& stores) : stores_(stores) {}

  ImageListing list() {
    for (const Store& store : stores_) add_references(store);
    for (const Store& store : stores_) add_unreferenced(store);
    std::stable_sort(listing_.images.begin(), listing_.images.end(),
                     [](const ListedImage& a, const ListedImage& b) { return a.pulled_at > b.pulled_at; });
    return std::move(listing_);
  }

 private:
  void add_references(const Store& store) {
    ReferenceListing references = store.list_references();
    listing_.broken.insert(listing_.broken.end(), references.broken.begin(), references.broken.end());
    for (const ReferenceRecord& record : references.records) {
      if (!seen_references_.insert(record.reference).second) continue;  // the nearer store's meaning holds
      add_reference(store, record);
    }
  }

  void add_reference(const Store& owner, const ReferenceRecord& record) {
    for (const Store& store : stores_) {
      const std::optional<StoredImage> image = store.find_image(record.manifest_digest);
      if (!image) continue;
      add(store, *image, record.reference, record.pulled_at);
      return;
    }
    if (add_lost_recording(record)) return;
    listing_.broken.push_back({owner.root(), record.reference + ": its image " + record.manifest_digest.to_string() +
                                                 " is gone; pull it again, or remove the name with `mlctr rmi`"});
  }

  // One line, though both the name and the image's directory are there: the file may only be on a filesystem that is
  // not mounted.
  bool add_lost_recording(const ReferenceRecord& record) {
    for (const Store& store : stores_) {
      std::string problem = describe_lost_recording(store, record.manifest_digest, record.reference);
      if (problem.empty()) continue;
      listing_.broken.push_back({record.reference, std::move(problem)});
      seen_images_.insert(record.manifest_digest);
      return true;
    }
    return false;
  }

  void add_unreferenced(const Store& store) {
    for (const StoredImage& image : store.images()) {
      if (seen_images_.contains(image.manifest_digest)) continue;
      const std::optional<RecordedFile> recorded = store.recorded_file(image.manifest_digest);
      // Nobody knows it by a name and its file is another one by now: only gc cares.
      if (recorded && recorded->state != RecordedFile::State::unchanged) continue;
      if (!store.find_image(image.manifest_digest)) {
        listing_.broken.push_back({image.squashfs.parent_path(), "some of its files are missing"});
      } else {
        add(store, image, "", 0);
      }
    }
  }

  void add(const Store& store, const StoredImage& image, const std::string& reference, std::int64_t pulled_at) {
    seen_images_.insert(image.manifest_digest);
    try {
      ListedImage listed = describe(store, image);
      listed.reference = reference;
      listed.familiar_reference = familiar_name(reference);
      listed.pulled_at = pulled_at;
      listing_.images.push_back(std::move(listed));
    } catch (const Error& error) {
      listing_.broken.push_back({image.squashfs.parent_path(), error.message()});
    }
  }

  const std::vector<Store>& stores_;
  ImageListing listing_;
  std::set<std::string> seen_references_;
  std::set<Digest> seen_images_;
};

}  // namespace

ImageListing list_images(const Configuration& configuration) {
  const std::vector<Store> stores = open_stores(configuration);
  return Lister(stores).list();
}

}  // namespace mlctr
