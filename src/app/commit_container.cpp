#include "app/commit_container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "app/committed_image.hpp"
#include "app/find_image.hpp"
#include "app/open_stores.hpp"
#include "app/run_target.hpp"
#include "app/squashfs_identity.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/unnamed_file.hpp"
#include "image/reference.hpp"
#include "squashfs/changes_layer.hpp"
#include "store/sharing.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

ImageReference parse_new_name(const std::string& text) {
  const ImageSource source = parse_image_source(text);
  const auto* reference = std::get_if<ImageReference>(&source);
  if (reference != nullptr && !reference->digest) return *reference;
  if (reference != nullptr) {
    throw UsageError(fmt::format("{} has a digest, which is not for us to choose", printable(text)),
                     "leave out what follows the '@'");
  }
  throw UsageError(fmt::format("{} is no name for an image in the store", printable(text)),
                   "name it like docker does (py38:mine); `mlctr save` writes files");
}

std::string author_name() {
  const passwd* user = ::getpwuid(::geteuid());
  return user == nullptr ? std::string() : user->pw_name;
}

// Of reproducible builds' own variable, else when the last change was made: the same container is the same image.
std::int64_t time_of(const squashfs::ChangesLayer& layer) {
  const char* given = std::getenv("SOURCE_DATE_EPOCH");
  std::int64_t time = layer.newest_mtime;
  if (given != nullptr) std::from_chars(given, given + std::strlen(given), time);
  return std::clamp<std::int64_t>(time, 0, UINT32_MAX);
}

std::optional<StoredImage> find_base(const Configuration& configuration, const ContainerRecord& record) {
  if (record.manifest_digest.empty()) return std::nullopt;
  const Digest digest = Digest::parse(record.manifest_digest);
  for (const Store& store : open_stores(configuration)) {
    if (auto image = store.find_image(digest)) return image;
  }
  return std::nullopt;
}

// Under the layer's lock, as a pull would do it.
void keep_layer(Store& store, const Digest& diff_id, UnnamedFile& file, const std::stop_token& stop) {
  const Lock lock = store.lock_layer(diff_id, stop, {});
  if (store.touch_layer(diff_id)) return;
  sync_file(file.fd(), "a layer");
  share_with_group(file.fd(), store.root() / "tmp");
  file.replace(store.layer_path(diff_id));
  sync_directory(store.layer_path(diff_id).parent_path());
}

void point_reference(Store& store, const std::optional<ImageReference>& reference, const Digest& digest) {
  if (reference) store.set_reference({reference_key(ImageSource(*reference)), digest, std::time(nullptr)});
}

std::string shown(const std::optional<ImageReference>& reference, const Digest& digest) {
  return reference ? reference->familiar() : digest.to_string();
}

std::string base_name(const ContainerRecord& record) {
  return record.image.starts_with('/') ? std::filesystem::path(record.image).filename().string() : record.image;
}

// On top of the layers of its image: pushed, it shares these with it.
class LayeredCommit {
 public:
  LayeredCommit(const Configuration& configuration, const CommitRequest& request, const StoredContainer& container,
                Store& store, ProgressBoard& board, std::stop_token stop)
      : configuration_(configuration),
        request_(request),
        container_(container),
        store_(store),
        stop_(std::move(stop)),
        progress_(board.add(container.record.name, 0, ProgressKind::image)) {}

  ResolvedImage pack_changes(const StoredImage& base) {
    progress_->phase = Phase::merging;
    UnnamedFile file(store_.root() / "tmp");
    std::optional<squashfs::ChangesLayer> layer;
    read_container(configuration_, container_, request_.running, [&](const BaseImage& image) {
      layer = squashfs::write_changes_layer(image.squashfs, changes_of(container_), file.fd(),
                                            pack_options(configuration_), stop_);
      files_ =
          container_provenance(container_.record, image, {.user = author_name(), .created = rfc_3339(time_of(*layer))});
      base_squashfs_ = image.squashfs;
    });
    ResolvedImage image = describe_commit(base, *layer,
                                          {.container = container_.record.name,
                                           .base_reference = base_name(container_.record),
                                           .author = author_name(),
                                           .time = time_of(*layer)});
    keep_layer(store_, layer->diff_id, file, stop_);
    return image;
  }

  /// Hold the image's lock.
  std::uint64_t assemble(const ResolvedImage& image) {
    if (const auto known = store_.find_image(image.digest)) return std::filesystem::file_size(known->squashfs);
    files_.push_back({"/.mlctr/manifest.json", image.manifest_body});
    files_.push_back({"/.mlctr/config.json", image.config_body});
    Store::NewImage made = store_.new_image(image.digest);
    squashfs::merge_layers(layer_files(image), files_, made.fd(), stop_, progress_.get(), made.directory());
    const std::uint64_t bytes = file_size(made.fd(), "the image");
    made.commit(image.manifest_body, image.config_body);
    progress_->phase = Phase::done;
    return bytes;
  }

 private:
  // Where the cache has lost one of the base's, its image, which is all of them.
  std::vector<std::filesystem::path> layer_files(const ResolvedImage& image) const {
    std::vector<std::filesystem::path> files;
    const std::vector<Store> stores = open_stores(configuration_);
    for (const Digest& diff_id : image.config.diff_ids) {
      const auto store =
          std::ranges::find_if(stores, [&](const Store& candidate) { return candidate.has_layer(diff_id); });
      if (store == stores.end()) return {base_squashfs_, store_.layer_path(image.config.diff_ids.back())};
      files.push_back(store->layer_path(diff_id));
    }
    return files;
  }

  const Configuration& configuration_;
  const CommitRequest& request_;
  const StoredContainer& container_;
  Store& store_;
  const std::stop_token stop_;
  const std::shared_ptr<ProgressItem> progress_;
  std::vector<squashfs::AddedFile> files_;
  std::filesystem::path base_squashfs_;
};

// All in one: of an image that has no layers to speak of, a lone squashfs file.
CommittedImage commit_whole(const Configuration& configuration, const CommitRequest& request,
                            const StoredContainer& container, const std::optional<ImageReference>& reference,
                            Store& store, ProgressBoard& board, const std::stop_token& stop) {
  UnnamedFile file(store.root() / "tmp");
  write_container_image(configuration, container, request.running, file.fd(), board, stop);
  const std::uint64_t bytes = file_size(file.fd(), "the image");

  const auto progress = board.add("digest", bytes, ProgressKind::image);
  const SquashfsIdentity identity = identify_squashfs(file.fd(), "the saved image", Platform::host(), *progress, stop);
  const Lock lock = store.lock_image(identity.digest, stop, {});
  // Where only the path of such a file was recorded, the image takes its place: it goes nowhere.
  const auto known = store.find_image(identity.digest);
  const bool is_stored = known && !std::filesystem::is_symlink(known->squashfs);
  if (known && !is_stored) store.remove_image(identity.digest);
  if (!is_stored) {
    Store::NewImage image = store.new_image(identity.digest);
    image.take(file);
    image.commit(identity.manifest_body, identity.config_body);
  }
  point_reference(store, reference, identity.digest);
  return {.reference = shown(reference, identity.digest), .digest = identity.digest, .bytes = bytes};
}

}  // namespace

CommittedImage commit_container(const Configuration& configuration, const CommitRequest& request, ProgressBoard& board,
                                std::stop_token stop) {
  std::optional<ImageReference> reference;
  if (!request.reference.empty()) reference = parse_new_name(request.reference);
  const StoredContainer container = require_container(configuration, request.container);
  Store store(configuration.store, Store::Access::read_write);
  const std::optional<StoredImage> base = find_base(configuration, container.record);
  if (!base || !has_layers(*base)) {
    return commit_whole(configuration, request, container, reference, store, board, stop);
  }
  LayeredCommit commit(configuration, request, container, store, board, stop);
  const ResolvedImage image = commit.pack_changes(*base);
  const Lock lock = store.lock_image(image.digest, stop, {});
  const std::uint64_t bytes = commit.assemble(image);
  point_reference(store, reference, image.digest);
  return {.reference = shown(reference, image.digest), .digest = image.digest, .bytes = bytes};
}

}  // namespace mlctr
