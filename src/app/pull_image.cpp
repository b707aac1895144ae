#include "app/pull_image.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "app/assemble_image.hpp"
#include "app/export_image.hpp"
#include "app/fetch_layers.hpp"
#include "app/find_image.hpp"
#include "app/open_stores.hpp"
#include "app/record_squashfs.hpp"
#include "app/registry_origin.hpp"
#include "app/resolve_image.hpp"
#include "app/saved_image_origin.hpp"
#include "app/source_file.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/overloaded.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

unsigned usable_processors() {
  cpu_set_t set;
  // More than 1024 processors: the call fails, and the library's own count must do.
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

FetchOptions fetch_options(const Configuration& configuration) {
  return {.parallel_layers = std::max(1u, configuration.parallel_downloads),
          .threads = configuration.threads > 0 ? configuration.threads : usable_processors(),
          .compression_level = configuration.compression_level,
          .limits = {.max_uncompressed_bytes = configuration.max_layer_bytes,
                     .max_entries = configuration.max_layer_entries}};
}

// The name the image gets in the store: what was typed, in its one canonical form.
std::string reference_name(const ImageSource& source) {
  return reference_key(to_string(source));
}

std::string short_name(const ImageSource& source) {
  if (const auto* reference = std::get_if<ImageReference>(&source)) return reference->familiar();
  return to_string(source);
}

std::unique_ptr<ImageOrigin> open_origin(const ImageSource& source, const Configuration& configuration, Store& store,
                                         Transport& transport, const std::stop_token& stop) {
  const UnpackLimits limits{
      .scratch_directory = store.root() / "tmp", .max_bytes = configuration.max_layer_bytes, .stop = stop};
  return std::visit(Overloaded{[&](const ImageReference& reference) {
                                 return make_registry_origin(reference, configuration, transport);
                               },
                               [&](const OciLayoutSource& layout) {
                                 return make_oci_layout_origin(open_directory(layout.path), layout.tag);
                               },
                               [&](const OciArchiveSource& archive) {
                                 return make_oci_layout_origin(open_tar(archive.path, limits), archive.tag);
                               },
                               [&](const DockerArchiveSource& archive) {
                                 return make_docker_archive_origin(open_tar(archive.path, limits), archive.tag, stop);
                               },
                               [&](const SquashfsSource& file) -> std::unique_ptr<ImageOrigin> {
                                 throw UsageError(file.path.string() + " is a squashfs file: it has no layers to pull");
                               }},
                    source);
}

bool is_for(const StoredImage& image, const Platform& wanted) {
  const Platform platform = parse_image_config(read_file(image.config)).platform;
  return platform.architecture.empty() || platform_score(wanted, platform) > 0;
}

// What one pull works with, so that its steps need not be told each time.
class Pull {
 public:
  Pull(const PullRequest& request, const Configuration& configuration, ProgressBoard& board, std::stop_token stop)
      : request_(request),
        configuration_(configuration),
        board_(board),
        stop_(std::move(stop)),
        store_(configuration.store, Store::Access::read_write),
        stores_(open_stores(configuration)),
        transport_(make_curl_transport(transport_settings(configuration), &board)) {}

  PullResult run() {
    const std::optional<StoredImage> known = known_image();
    if (known && request_.policy == PullPolicy::missing) return present(*known);

    const std::unique_ptr<ImageOrigin> origin =
        open_origin(request_.source, configuration_, store_, *transport_, stop_);
    const std::optional<ResolvedImage> image = resolve(*origin, known.has_value());
    if (!image) return present(*known);

    return obtain(*image, *origin);
  }

 private:
  // What the reference meant when it was last pulled, if that image is still here. A broken record is no reason to
  // refuse what would mend it.
  std::optional<StoredImage> known_image() const {
    try {
      const std::optional<ReferenceRecord> record = store_.find_reference(reference_name(request_.source));
      const std::optional<StoredImage> image = record ? find_image(record->manifest_digest) : std::nullopt;
      return image && is_for(*image, request_.platform) ? image : std::nullopt;
    } catch (const Error& error) {
      board_.note(std::string(error.what()) + "; pulling it anew");
      return std::nullopt;
    }
  }

  std::optional<StoredImage> find_image(const Digest& digest) const {
    for (const Store& store : stores_) {
      if (std::optional<StoredImage> image = store.find_image(digest)) return image;
    }
    return std::nullopt;
  }

  // Absent: the registry can't be asked and the policy allows to go on with what is here.
  std::optional<ResolvedImage> resolve(ImageOrigin& origin, bool may_fail) {
    try {
      const auto known_config = [&](const Digest& digest) -> std::optional<std::string> {
        const std::optional<StoredImage> here = find_image(digest);
        return here ? std::optional(read_file(here->config)) : std::nullopt;
      };
      return resolve_image(origin, request_.platform, known_config, stop_);
    } catch (const Cancelled&) {
      throw;
    } catch (const Error& error) {
      if (!may_fail || request_.policy != PullPolicy::newer) throw;
      board_.note(std::string(error.what()) + "; keeping the image pulled earlier");
      return std::nullopt;
    }
  }

  PullResult obtain(const ResolvedImage& image, ImageOrigin& origin) {
    // Held until the reference is there: gc takes images that none leads to.
    const Lock lock = store_.lock_image(image.digest, stop_, [&](const LockOwner& owner) {
      const std::string note = request_.tell_of_wait
                                   ? request_.tell_of_wait(owner.host)
                                   : fmt::format("waiting: {} is pulling this image", owner.description());
      if (!note.empty()) board_.note(note);
    });
    const std::optional<StoredImage> here = find_image(image.digest);
    const PullResult result = here ? present(*here) : make(image, origin);
    store_.set_reference({reference_name(request_.source), image.digest, std::time(nullptr)});
    return result;
  }

  PullResult make(const ResolvedImage& image, ImageOrigin& origin) {
    FetchedLayers layers;
    try {
      layers = fetch_layers(image, origin, store_, stores_, fetch_options(configuration_), board_, stop_);
      assemble_image(image, reference_name(request_.source), layers.files, store_, board_, stop_);
    } catch (SysError& error) {
      if (is_disk_full(error.errno_value())) error.replace_hint(full_disk_hint(image));
      throw;
    }

    PullResult result = present(*store_.find_image(image.digest));
    result.downloaded_bytes = layers.transferred_bytes;
    result.layers = layers.files.size();
    result.layers_reused = layers.reused;
    result.was_present = false;
    return result;
  }

  // A layer file is about as large as its blob, and the large ones are the image's own; some are on their way.
  std::string full_disk_hint(const ResolvedImage& image) const {
    std::uint64_t blob_bytes = 0;
    for (const Descriptor& layer : image.manifest.layers) blob_bytes += layer.size_bytes;
    return fmt::format(
        "the filesystem of {} has {} MiB left and the whole image takes about {} MiB of it: free some (mlctr gc, mlctr "
        "rmi), "
        "or set MLCTR_STORE to a larger filesystem",
        store_.root().string(), free_bytes(store_.root()) >> 20, ((blob_bytes + blob_bytes / 8) >> 20) + 1);
  }

  PullResult present(const StoredImage& image) const {
    return {.reference = short_name(request_.source),
            .manifest_digest = image.manifest_digest,
            .squashfs = image.squashfs,
            .image_bytes = std::filesystem::file_size(image.squashfs),
            .was_present = true};
  }

  const PullRequest& request_;
  const Configuration& configuration_;
  ProgressBoard& board_;
  std::stop_token stop_;
  Store store_;
  std::vector<Store> stores_;  // to look things up in: ours first, then those of others
  std::unique_ptr<Transport> transport_;
};

}  // namespace

PullResult pull_image(const PullRequest& request, const Configuration& configuration, ProgressBoard& board,
                      std::stop_token stop) {
  try {
    if (!request.output.empty()) check_destination(request.output, request.overwrite);  // before hours of pulling
    check_source(request.source);
    const auto* file = std::get_if<SquashfsSource>(&request.source);
    PullResult result = file != nullptr ? record_squashfs(file->path, request, configuration, board, stop)
                                        : Pull(request, configuration, board, stop).run();
    if (!request.output.empty()) copy_squashfs(result.squashfs, request.output, request.overwrite, stop);
    return result;
  } catch (const Cancelled&) {
    throw;
  } catch (Error& error) {
    error.add_context("cannot pull " + short_name(request.source));
    throw;
  }
}

}  // namespace mlctr
