#include "app/collect_garbage.hpp"

#include <algorithm>
#include <ctime>
#include <set>

#include "app/build_place.hpp"
#include "app/job_containers.hpp"
#include "app/open_stores.hpp"
#include "app/remove_container.hpp"
#include "app/run_target.hpp"
#include "app/runtime_directory.hpp"
#include "app/save_step.hpp"
#include "base/error.hpp"
#include "store/allocation.hpp"
#include "store/layer_companions.hpp"
#include "store/remove_tree.hpp"
#include "store/step_cache.hpp"
#include "store/store_names.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::hours k_partial_age{7 * 24};  // a cut download is worth going on with for a week
constexpr std::chrono::hours k_unpacked_age{7 * 24};
constexpr std::chrono::hours k_step_age{90 * 24};
constexpr std::chrono::hours k_build_age{30 * 24};  // of caches, and of what failed steps left
constexpr std::chrono::hours k_unknown_age{24};     // what has no lock to tell whether it is in use
constexpr std::chrono::hours k_pull_age{24};        // no pull takes longer between finding a layer and merging it

class Collector {
 public:
  Collector(const Configuration& configuration, const GarbageRequest& request, std::stop_token stop)
      : configuration_(configuration),
        request_(request),
        stop_(std::move(stop)),
        layer_limit_(request.max_layer_bytes.value_or(configuration.layer_cache_bytes)),
        store_(configuration.store, Store::Access::read_write),
        stores_(open_stores(configuration)),
        containers_(open_containers(configuration)),
        now_(store_.now()) {}

  GarbageReport collect() {
    collect_temporaries();
    collect_container_leftovers();
    collect_references();
    collect_images();
    collect_unpacked();
    collect_layers();
    collect_builds();
    if (is_removing()) store_.remove_idle_locks();
    return std::move(report_);
  }

 private:
  bool is_removing() const { return request_.effect == GarbageRequest::Effect::remove; }

  void heed_stop() const {
    if (stop_.stop_requested()) throw Cancelled();
  }

  void add(RemovedEntry::Kind kind, std::string name, std::uint64_t bytes) {
    report_.freed_bytes += bytes;
    report_.removed.push_back({kind, std::move(name), bytes});
  }

  void collect_temporaries() {
    for (const TemporaryEntry& entry : store_.temporaries()) {
      heed_stop();
      if (!is_worthless(entry)) continue;
      const std::optional<Lock> lock = lock_maker_of(entry);
      if (entry.digest && !lock) {
        ++report_.in_use;
        continue;
      }
      if (is_removing()) store_.remove_temporary(entry);
      const bool is_partial = entry.kind == TemporaryEntry::Kind::partial_blob;
      add(is_partial ? RemovedEntry::Kind::partial_download : RemovedEntry::Kind::temporary,
          entry.path.filename().string(), entry.allocated_bytes);
    }
  }

  bool is_worthless(const TemporaryEntry& entry) const {
    switch (entry.kind) {
      case TemporaryEntry::Kind::layer:
      case TemporaryEntry::Kind::image:
        return true;  // nothing goes on with them: if nobody holds the lock, their maker is dead
      case TemporaryEntry::Kind::partial_blob:
        return now_ - entry.changed > k_partial_age || store_.has_layer(*entry.digest);
      case TemporaryEntry::Kind::other:
        return now_ - entry.changed > k_unknown_age;
    }
    return false;
  }

  std::optional<Lock> lock_maker_of(const TemporaryEntry& entry) {
    if (!entry.digest) return std::nullopt;
    return entry.kind == TemporaryEntry::Kind::image ? store_.try_lock_image(*entry.digest)
                                                     : store_.try_lock_layer(*entry.digest);
  }

  bool is_in_any_store(const Digest& manifest_digest) const {
    return std::any_of(stores_.begin(), stores_.end(),
                       [&](const Store& store) { return store.find_image(manifest_digest).has_value(); });
  }

  void collect_container_leftovers() {
    for (const std::filesystem::path& leftover : containers_.leftovers()) {
      heed_stop();
      const std::uint64_t bytes = allocated_bytes_below(leftover);
      if (is_removing()) containers_.remove_aside(leftover);
      add(RemovedEntry::Kind::container_leftover, leftover.filename().string(), bytes);
    }
    collect_containers(dead_step_containers(containers_), RemovedEntry::Kind::container_leftover);
    collect_containers(containers_of_ended_jobs(containers_, request_.ended_job), RemovedEntry::Kind::job_container);
    if (!is_removing()) return;
    remove_dead_sockets(open_runtime_directory());
    remove_dead_step_sockets();
  }

  void collect_containers(const std::vector<std::string>& names, RemovedEntry::Kind kind) {
    for (const std::string& name : names) {
      heed_stop();
      const std::uint64_t bytes = freed_bytes_below(containers_.root() / name);
      if (is_removing() && !remove_idle_container(configuration_, open_runtime_directory(), name)) continue;
      add(kind, name, bytes);
    }
  }

  // Names whose image is gone. A recorded file's stays: its filesystem may only be away.
  void collect_references() {
    ReferenceListing references = store_.list_references();
    report_.broken = std::move(references.broken);
    for (const ReferenceRecord& record : references.records) {
      heed_stop();
      if (record.reference.starts_with('/') || is_in_any_store(record.manifest_digest)) continue;
      const std::optional<Lock> lock = store_.try_lock_image(record.manifest_digest);
      if (!lock) {
        ++report_.in_use;
        continue;
      }
      if (is_in_any_store(record.manifest_digest)) continue;  // pulled meanwhile
      if (is_removing()) store_.remove_reference(record.reference);
      add(RemovedEntry::Kind::reference, record.reference, 0);
    }
  }

  bool is_referenced(const Digest& manifest_digest) const {
    // A name that can't be read may be this image's.
    const ReferenceListing references = store_.list_references();
    return !references.broken.empty() ||
           std::any_of(references.records.begin(), references.records.end(),
                       [&](const ReferenceRecord& record) { return record.manifest_digest == manifest_digest; });
  }

  void collect_images() {
    for (const StoredImage& image : store_.images()) {
      heed_stop();
      if (is_referenced(image.manifest_digest) || !containers_.users_of(image.squashfs).dependent.empty()) continue;
      const std::optional<Lock> lock = store_.try_lock_image(image.manifest_digest);
      if (!lock) {
        ++report_.in_use;
        continue;
      }
      if (is_referenced(image.manifest_digest)) continue;  // named meanwhile
      const std::uint64_t bytes = freed_bytes_below(image.squashfs.parent_path());
      if (is_removing()) store_.remove_image(image.manifest_digest);
      add(RemovedEntry::Kind::image, image.manifest_digest.to_string(), bytes);
    }
  }

  // What machines without FUSE run from. It can be made again, so that age alone is enough.
  void collect_unpacked() {
    const UnpackedStore unpacked(containers_.root());
    if (is_removing()) unpacked.remove_dead();
    for (const StoredTree& tree : unpacked.list()) {
      heed_stop();
      const auto digest = parse_digest_name(tree.key);
      const bool has_image = !digest || is_in_any_store(*digest) || has_container_of(digest->to_string());
      const bool is_recent = tree.last_used > std::time(nullptr) - std::chrono::seconds(k_unpacked_age).count();
      if (has_image && is_recent) continue;
      if (is_removing() && !unpacked.remove(tree.key)) {
        ++report_.in_use;
        continue;
      }
      add(RemovedEntry::Kind::unpacked_image, tree.key, tree.allocated_bytes);
    }
  }

  bool has_container_of(const std::string& manifest_digest) const {
    const ContainerListing listing = containers_.list();
    return std::any_of(listing.containers.begin(), listing.containers.end(), [&](const StoredContainer& container) {
      return container.record.manifest_digest == manifest_digest;
    });
  }

  // The order matters. A pull holds its image's lock before it marks layers as used: if it marked them before our
  // listing, is_pulling sees it and young layers stay; if after, remove_layer sees the newer mark and puts the layer
  // back.
  void collect_layers() {
    if (is_removing()) remove_lone_companions(store_);
    const std::vector<StoredLayer> layers = store_.layers();
    const bool is_pulling = store_.is_pulling();
    for (const StoredLayer& layer : layers) report_.layers_bytes += layer.is_piece ? 0 : layer.allocated_bytes;
    for (const StoredLayer& layer : layers) {
      heed_stop();
      if (layer.is_piece) continue;
      if (report_.layers_bytes <= layer_limit_) return;
      const bool may_be_merged_now = is_pulling && now_ - layer.last_used < k_pull_age;
      if (may_be_merged_now || !remove(layer)) {
        ++report_.in_use;
        continue;
      }
      report_.layers_bytes -= layer.allocated_bytes;
      add(RemovedEntry::Kind::layer, layer.diff_id.to_string(), layer.allocated_bytes);
    }
  }

  // Steps whose layer is gone, or that no build has wanted for long; what builds keep beside the containers.
  void collect_builds() {
    const StepCache steps(store_);
    for (const CachedStepEntry& entry : steps.entries()) {
      heed_stop();
      const bool has_layer = !entry.layer || store_.has_layer(*entry.layer);
      if (has_layer && now_ - entry.last_used < k_step_age) continue;
      if (is_removing() && !steps.remove(entry.key)) continue;
      add(RemovedEntry::Kind::build_step, entry.key.short_hex(), 0);
    }
    for (const BuildRemnant& remnant : list_build_remnants(containers_.root(), k_build_age)) {
      heed_stop();
      const std::uint64_t bytes = allocated_bytes_below(remnant.path);
      if (is_removing()) remove_tree(remnant.path);
      add(remnant.kind == BuildRemnant::Kind::cache ? RemovedEntry::Kind::build_cache
                                                    : RemovedEntry::Kind::build_leftover,
          remnant.path.filename().string(), bytes);
    }
  }

  // False where someone uses it.
  bool remove(const StoredLayer& layer) {
    const std::optional<Lock> lock = store_.try_lock_layer(layer.diff_id);
    if (!lock) return false;
    return !is_removing() || store_.remove_layer(layer.diff_id, layer.last_used);
  }

  const Configuration& configuration_;
  const GarbageRequest& request_;
  std::stop_token stop_;
  std::uint64_t layer_limit_;
  Store store_;
  std::vector<Store> stores_;
  ContainerStore containers_;
  FileTime now_;
  GarbageReport report_;
};

}  // namespace

GarbageReport collect_garbage(const Configuration& configuration, const GarbageRequest& request, std::stop_token stop) {
  return Collector(configuration, request, std::move(stop)).collect();
}

}  // namespace mlctr
