#include "app/push_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "app/open_stores.hpp"
#include "app/registry_origin.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "base/thread.hpp"
#include "image/config.hpp"
#include "image/media_type.hpp"
#include "registry/push_client.hpp"
#include "store/layer_companions.hpp"

namespace mlctr {
namespace {

// Of one blob: each begins where the registry had forgotten what it was sent.
constexpr int k_max_push_tries = 4;

ImageReference destination_of(const PushRequest& request, const FoundImage& found) {
  const bool is_given = !request.destination.empty();
  if (!is_given && !found.record) {
    throw UsageError(fmt::format("{} is no name to push to", printable(request.image)),
                     "name the destination: mlctr push ID REGISTRY/NAME:TAG");
  }
  // What was typed may have the user in it, whose credentials to take.
  const std::string text = is_given ? request.destination : request.image;
  std::optional<ImageReference> reference;
  try {
    const ImageSource source = parse_image_source(text);
    if (const auto* named = std::get_if<ImageReference>(&source)) reference = *named;
  } catch (const UsageError&) {
    if (is_given) throw;
  }
  if (!reference) {
    throw UsageError(fmt::format("{} is no name in a registry", printable(text)),
                     is_given ? "name it REGISTRY/NAME:TAG; `mlctr save --format` writes archives"
                              : "name the destination: mlctr push IMAGE REGISTRY/NAME:TAG");
  }
  if (reference->digest) {
    throw UsageError(fmt::format("{} has a digest, which is not for us to choose", printable(text)),
                     "push to a tag: leave out what follows the '@'");
  }
  return *reference;
}

// Which other repository of the registry has a blob, as far as the store's references tell.
using Repositories = std::map<Digest, std::string>;

Repositories repositories_of(const std::vector<Store>& stores, const ImageReference& destination) {
  Repositories found;
  for (const Store& store : stores) {
    for (const ReferenceRecord& record : store.references()) {
      try {
        const ImageReference reference = ImageReference::parse(record.reference);
        if (reference.registry != destination.registry || reference.repository == destination.repository) continue;
        const auto image = store.find_image(record.manifest_digest);
        if (!image) continue;
        const auto manifest = parse_manifest(read_file(image->manifest, k_max_manifest_bytes), {});
        for (const Descriptor& layer : std::get<Manifest>(manifest).layers) {
          found.emplace(layer.digest, reference.repository);
        }
      } catch (const Error&) {
        // The path of a file, or a broken image: no help here.
      }
    }
  }
  return found;
}

class Push {
 public:
  Push(const Configuration& configuration, const PushRequest& request, PortableImage image, ImageReference destination,
       ProgressBoard& board, std::stop_token stop)
      : configuration_(configuration),
        request_(request),
        image_(std::move(image)),
        destination_(std::move(destination)),
        board_(board),
        transport_(make_curl_transport(transport_settings(configuration), &board)),
        client_(*transport_, registry_settings(destination_.registry, configuration), destination_,
                find_credential({destination_.registry, destination_.repository, destination_.user})),
        repositories_(repositories_of(open_stores(configuration), destination_)),
        on_outer_stop_(std::move(stop), [this] { stop_.request_stop(); }) {}

  struct Sent {
    std::string manifest, media_type;
  };

  /// All but the manifest, which it returns.
  Sent send_contents() {
    push_layers();
    std::vector<Descriptor> layers;
    for (const PortableLayer& layer : image_.layers) layers.push_back(blobs_.at(layer.diff_id).value());
    std::string manifest = portable_manifest(image_, layers);
    push_config();
    const bool is_unchanged = manifest == image_.manifest_body;
    return {std::move(manifest), is_unchanged ? image_.manifest.media_type : std::string(k_oci_manifest)};
  }

  /// `tag`: empty where its digest is to be its only name.
  void put(const Sent& manifest, const std::string& tag) {
    client_.put_manifest(manifest.manifest, manifest.media_type, tag, stop_.get_token());
  }

  PushedImage result(const Sent& manifest) const {
    return {.reference = destination_.familiar(),
            .manifest_digest = Digest::of(manifest.manifest),
            .sent_bytes = sent_bytes_,
            .layers = image_.layers.size(),
            .present = present_,
            .mounted = mounted_};
  }

 private:
  struct Job {
    const PortableLayer* layer;
    std::shared_ptr<ProgressItem> progress;
  };

  // Several at a time: the first failure stops the others and is thrown.
  void push_layers() {
    for (const PortableLayer& layer : image_.layers) {
      if (!blobs_.emplace(layer.diff_id, std::nullopt).second) continue;  // images do repeat layers
      const std::uint64_t bytes = layer.file.empty() ? 0 : std::filesystem::file_size(layer.file);
      jobs_.push_back({&layer, board_.add(layer.diff_id.short_hex(), bytes)});
    }
    {
      std::vector<std::jthread> workers;
      const std::size_t count = std::min<std::size_t>(std::max(1u, configuration_.parallel_downloads), jobs_.size());
      for (std::size_t i = 0; i < count; ++i) workers.push_back(start_thread("push a layer", [this] { work(); }));
    }
    if (failure_) std::rethrow_exception(failure_);
  }

  void work() noexcept {
    try {
      for (std::size_t i = next_++; i < jobs_.size(); i = next_++) {
        if (stop_.stop_requested()) throw Cancelled();
        Descriptor blob = push_layer(jobs_[i]);
        const std::lock_guard lock(mutex_);
        blobs_[jobs_[i].layer->diff_id] = std::move(blob);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stop_.request_stop();
    }
  }

  Descriptor push_layer(const Job& job) {
    const PortableLayer& layer = *job.layer;
    // What may not be distributed stays where its address says.
    if (layer.descriptor && !layer.descriptor->urls.empty()) {
      job.progress->phase = Phase::cached;
      return *layer.descriptor;
    }
    if (std::optional<Descriptor> there = find_there(layer)) {
      job.progress->phase = Phase::cached;
      return *there;
    }
    job.progress->phase = Phase::downloading;
    for (int tries = 1;; ++tries) {
      try {
        Descriptor blob = send(layer, *job.progress);
        job.progress->phase = Phase::done;
        return blob;
      } catch (const UploadLost& error) {
        if (tries == k_max_push_tries) throw;
        board_.note(fmt::format("sending layer {} anew: {}", layer.diff_id.short_hex(), error.message()));
        job.progress->downloaded_bytes = 0;
      }
    }
  }

  // The blob it was pulled as, or the one that it was compressed to before.
  std::optional<Descriptor> find_there(const PortableLayer& layer) {
    std::vector<Descriptor> candidates;
    using squashfs::BlobCompression;
    if (layer.descriptor &&
        (!request_.compression || layer.descriptor->media_type.ends_with(compression_name(*request_.compression)))) {
      candidates.push_back(*layer.descriptor);
    }
    for (const BlobCompression compression : {BlobCompression::gzip, BlobCompression::zstd}) {
      if (layer.file.empty() || request_.compression.value_or(compression) != compression) continue;
      if (const auto blob = find_layer_blob(layer.file, compression_name(compression))) {
        candidates.push_back({layer_media_type(compression), blob->digest, blob->size_bytes, {}});
      }
    }
    for (const Descriptor& candidate : candidates) {
      if (client_.has_blob(candidate.digest, stop_.get_token())) {
        ++present_;
        return candidate;
      }
    }
    for (const Descriptor& candidate : candidates) {
      const auto repository = repositories_.find(candidate.digest);
      if (repository == repositories_.end()) continue;
      if (client_.mount(candidate.digest, repository->second, stop_.get_token())) {
        ++mounted_;
        return candidate;
      }
    }
    return std::nullopt;
  }

  Descriptor send(const PortableLayer& layer, ProgressItem& progress) {
    const std::stop_token stop = stop_.get_token();
    const auto upload = client_.begin_upload([&](std::uint64_t sent) { progress.downloaded_bytes = sent; }, stop);
    Descriptor blob = write_layer_blob(
        layer, request_.compression.value_or(squashfs::BlobCompression::gzip), threads(),
        [&](std::span<const std::byte> bytes) { upload->append(bytes); }, stop);
    upload->finish(blob.digest);
    sent_bytes_ += blob.size_bytes;
    return blob;
  }

  unsigned threads() const {
    return configuration_.threads > 0 ? configuration_.threads : std::max(1u, std::thread::hardware_concurrency());
  }

  void push_config() {
    const Digest digest = Digest::of(image_.config_body);
    if (client_.has_blob(digest, stop_.get_token())) return;
    for (int tries = 1;; ++tries) {
      try {
        const auto upload = client_.begin_upload([](std::uint64_t) {}, stop_.get_token());
        upload->append(std::as_bytes(std::span(image_.config_body)));
        return upload->finish(digest);
      } catch (const UploadLost&) {
        if (tries == k_max_push_tries) throw;
      }
    }
  }

  const Configuration& configuration_;
  const PushRequest& request_;
  const PortableImage image_;
  const ImageReference destination_;
  ProgressBoard& board_;
  std::unique_ptr<Transport> transport_;
  PushClient client_;
  const Repositories repositories_;
  std::vector<Job> jobs_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::map<Digest, std::optional<Descriptor>> blobs_;  // by diff_id; under mutex_ while workers run
  std::exception_ptr failure_;                         // under mutex_
  std::atomic<std::uint64_t> sent_bytes_{0};
  std::atomic<std::size_t> present_{0}, mounted_{0};
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> on_outer_stop_;
};

// Several images under one name.
class IndexPush {
 public:
  IndexPush(const Configuration& configuration, const PushRequest& request, const ImageReference& destination,
            ProgressBoard& board, std::stop_token stop)
      : configuration_(configuration), request_(request), destination_(destination), board_(board), stop_(std::move(stop)) {}

  PushedImage run() {
    std::vector<std::string> names{request_.image};
    names.insert(names.end(), request_.others.begin(), request_.others.end());
    std::vector<PortableImage> images;
    for (const std::string& name : names) images.push_back(open(name));
    for (std::size_t i = 0; i < images.size(); ++i) push(std::move(images[i]), i + 1 == images.size());
    return std::move(result_);
  }

 private:
  // All are looked at before the first is sent.
  PortableImage open(const std::string& name) {
    const FoundImage found = require_image(configuration_, name);
    PortableImage image = open_portable_image(configuration_, found, request_.rewrite, stop_);
    const Platform platform = parse_image_config(image.config_body).platform;
    if (std::ranges::find(result_.platforms, platform) != result_.platforms.end()) {
      throw UsageError(fmt::format("{} is for {} too", printable(name), printable(platform.to_string())),
                       "an index has one image a platform: mlctr build --platform P makes one for another");
    }
    result_.platforms.push_back(platform);
    return image;
  }

  void push(PortableImage image, bool is_last) {
    const Platform platform = parse_image_config(image.config_body).platform;
    Push push(configuration_, request_, std::move(image), destination_, board_, stop_);
    const Push::Sent sent = push.send_contents();
    push.put(sent, "");
    const PushedImage one = push.result(sent);
    add(sent, one.manifest_digest, platform);
    result_.reference = one.reference;
    result_.sent_bytes += one.sent_bytes;
    result_.layers += one.layers;
    result_.present += one.present;
    result_.mounted += one.mounted;
    if (!is_last) return;
    const Push::Sent index{nlohmann::ordered_json{{"schemaVersion", 2},
                                                  {"mediaType", k_oci_index},
                                                  {"manifests", entries_}}.dump(),
                           std::string(k_oci_index)};
    push.put(index, destination_.tag);
    result_.manifest_digest = Digest::of(index.manifest);
  }

  void add(const Push::Sent& sent, const Digest& digest, const Platform& platform) {
    nlohmann::ordered_json shown{{"architecture", platform.architecture}, {"os", platform.os}};
    if (!platform.variant.empty()) shown["variant"] = platform.variant;
    entries_.push_back({{"mediaType", sent.media_type},
                        {"digest", digest.to_string()},
                        {"size", sent.manifest.size()},
                        {"platform", std::move(shown)}});
  }

  const Configuration& configuration_;
  const PushRequest& request_;
  const ImageReference& destination_;
  ProgressBoard& board_;
  const std::stop_token stop_;
  PushedImage result_{.reference = {}, .manifest_digest = Digest::of("")};
  nlohmann::ordered_json entries_ = nlohmann::ordered_json::array();
};

PushedImage push_one(const Configuration& configuration, const PushRequest& request, const FoundImage& found,
                     ImageReference destination, ProgressBoard& board, std::stop_token stop) {
  const std::string tag = destination.tag;
  PortableImage image = open_portable_image(configuration, found, request.rewrite, stop);
  Push push(configuration, request, std::move(image), std::move(destination), board, std::move(stop));
  const Push::Sent manifest = push.send_contents();
  push.put(manifest, tag);
  return push.result(manifest);
}

}  // namespace

PushedImage push_image(const Configuration& configuration, const PushRequest& request, ProgressBoard& board,
                       std::stop_token stop) {
  const FoundImage found = require_image(configuration, request.image);
  ImageReference destination = destination_of(request, found);
  const std::string name = destination.familiar();
  try {
    if (request.others.empty())
      return push_one(configuration, request, found, std::move(destination), board, std::move(stop));
    return IndexPush(configuration, request, destination, board, std::move(stop)).run();
  } catch (const Cancelled&) {
    throw;
  } catch (Error& error) {
    error.add_context(fmt::format("cannot push {}", name));
    throw;
  }
}

}  // namespace mlctr
