#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "app/saved_image_origin.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "image/config.hpp"

namespace mlctr {
namespace {

// One entry of manifest.json.
struct SavedImage {
  std::string config_path;
  std::vector<std::string> names;
  std::vector<std::string> layer_paths;
};

std::vector<std::string> strings(const nlohmann::json& entry, const char* key) {
  const auto list = entry.find(key);
  if (list == entry.end() || list->is_null()) return {};
  std::vector<std::string> values;
  if (list->is_array()) {
    for (const nlohmann::json& value : *list) {
      if (value.is_string()) values.push_back(value.get<std::string>());
    }
  }
  if (values.size() != list->size()) throw Error(fmt::format("manifest.json: {} is not a list of strings", key));
  return values;
}

std::vector<SavedImage> parse_saved_images(const std::string& body) {
  const nlohmann::json list = nlohmann::json::parse(body, nullptr, false);
  if (!list.is_array()) throw Error("manifest.json is not a JSON list");
  std::vector<SavedImage> images;
  for (const nlohmann::json& entry : list) {
    if (!entry.is_object() || !entry.contains("Config") || !entry["Config"].is_string()) {
      throw Error("manifest.json: an image has no Config");
    }
    images.push_back({entry["Config"].get<std::string>(), strings(entry, "RepoTags"), strings(entry, "Layers")});
  }
  return images;
}

bool has_name(const SavedImage& image, const std::string& tag) {
  for (const std::string& name : image.names) {
    if (name == tag || name.ends_with(":" + tag) || name.ends_with("/" + tag)) return true;
  }
  return false;
}

bool is_plain_tar(const FileSet::Range& range) {
  std::array<std::byte, 4> magic{};
  read_at(range.file->get(), magic, range.offset, "a layer");
  const bool is_gzip = magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
  const bool is_zstd = magic[0] == std::byte{0x28} && magic[1] == std::byte{0xb5} && magic[2] == std::byte{0x2f};
  return !is_gzip && !is_zstd;
}

Digest hash_range(const FileSet::Range& range, const std::stop_token& stop) {
  Hasher hasher;
  std::vector<std::byte> buffer(1u << 20);
  for (std::uint64_t done = 0; done < range.size_bytes;) {
    const std::span<std::byte> part =
        std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), range.size_bytes - done));
    const std::size_t got = read_at(range.file->get(), part, range.offset + done, "a layer");
    if (stop.stop_requested()) throw Cancelled();
    if (got == 0) throw Error("a layer ends early");
    hasher.update(part.first(got));
    done += got;
  }
  return Digest::from_hex(HashAlgorithm::sha256, hasher.finish_hex());
}

class DockerArchiveOrigin final : public ImageOrigin {
 public:
  DockerArchiveOrigin(std::unique_ptr<FileSet> files, const std::string& tag, std::stop_token stop)
      : files_(std::move(files)), stop_(std::move(stop)) {
    if (!files_->find("manifest.json")) {
      throw Error(fmt::format("{} is not a docker archive: it has no manifest.json", files_->name().string()),
                  "write oci-archive:FILE for an OCI archive");
    }
    try {
      open(choose(parse_saved_images(files_->read("manifest.json", k_max_manifest_bytes)), tag));
    } catch (const Cancelled&) {
      throw;
    } catch (Error& error) {
      error.add_context("cannot read " + files_->name().string());
      throw;
    }
  }

  OriginManifest manifest(const std::optional<Digest>&, std::stop_token) override { return {manifest_, {}}; }

  std::string config(const Descriptor&, std::stop_token) override { return config_; }

  std::unique_ptr<LayerStream> layer(const Descriptor& descriptor, const std::filesystem::path&, ProgressItem& progress,
                                     std::stop_token stop) override {
    return stream_range(layers_.at(descriptor.digest), progress, std::move(stop));
  }

 private:
  static SavedImage choose(const std::vector<SavedImage>& images, const std::string& tag) {
    std::vector<SavedImage> found;
    std::vector<std::string> names;
    for (const SavedImage& image : images) {
      if (tag.empty() || has_name(image, tag)) found.push_back(image);
      for (const std::string& name : image.names) names.push_back(printable(name));
    }
    if (found.size() == 1) return found.front();
    throw Error(found.empty() ? fmt::format("no image named {}", tag) : "it holds several images",
                fmt::format("it has {}: add :NAME to choose one", fmt::join(names, ", ")));
  }

  void open(const SavedImage& image) {
    config_ = files_->read(image.config_path, k_max_config_bytes);
    const ImageConfig config = parse_image_config(config_);
    if (config.diff_ids.size() != image.layer_paths.size()) {
      throw Error(fmt::format("{} layers but {} diff_ids", image.layer_paths.size(), config.diff_ids.size()));
    }
    Manifest manifest{.media_type = "application/vnd.oci.image.manifest.v1+json",
                      .config = {.media_type = "application/vnd.oci.image.config.v1+json",
                                 .digest = Digest::of(config_),
                                 .size_bytes = config_.size(),
                                 .urls = {}},
                      .layers = {}};
    for (std::size_t i = 0; i < image.layer_paths.size(); ++i) {
      manifest.layers.push_back(add_layer(image.layer_paths[i], config.diff_ids[i]));
    }
    manifest_ = write_manifest(manifest);
  }

  Descriptor add_layer(const std::string& path, const Digest& diff_id) {
    const std::optional<FileSet::Range> range = files_->find(path);
    if (!range) throw Error(fmt::format("layer {} is missing", printable(path)));
    // A plain tar's blob digest is its diff_id: the conversion checks it. Compressed ones have to be read to be named.
    const bool is_plain = is_plain_tar(*range);
    const Digest digest = is_plain ? diff_id : hash_range(*range, stop_);
    layers_.insert_or_assign(digest, *range);
    return {.media_type =
                is_plain ? "application/vnd.oci.image.layer.v1.tar" : "application/vnd.oci.image.layer.v1.tar+gzip",
            .digest = digest,
            .size_bytes = range->size_bytes,
            .urls = {}};
  }

  std::unique_ptr<FileSet> files_;
  std::stop_token stop_;
  std::string config_;
  std::string manifest_;
  std::map<Digest, FileSet::Range> layers_;
};

}  // namespace

std::unique_ptr<ImageOrigin> make_docker_archive_origin(std::unique_ptr<FileSet> files, std::string tag,
                                                        std::stop_token stop) {
  return std::make_unique<DockerArchiveOrigin>(std::move(files), tag, std::move(stop));
}

}  // namespace mlctr
