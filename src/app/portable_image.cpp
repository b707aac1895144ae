#include "app/portable_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/open_stores.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "image/config.hpp"
#include "image/media_type.hpp"
#include "squashfs/layer_tar.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/tar_record.hpp"
#include "store/layer_companions.hpp"

namespace mlctr {
namespace {

using nlohmann::ordered_json;
using Origin = PortableLayer::Origin;

constexpr std::string_view k_oci_config = "application/vnd.oci.image.config.v1+json";

// Passes bytes on and tells of all of them.
class HashedSink {
 public:
  HashedSink(const squashfs::ByteSink& sink, HashAlgorithm algorithm = HashAlgorithm::sha256)
      : sink_(sink), algorithm_(algorithm), hasher_(algorithm) {}

  void operator()(std::span<const std::byte> bytes) {
    hasher_.update(bytes);
    bytes_ += bytes.size();
    sink_(bytes);
  }
  Digest finish() { return Digest::from_hex(algorithm_, hasher_.finish_hex()); }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  const squashfs::ByteSink& sink_;
  HashAlgorithm algorithm_;
  Hasher hasher_;
  std::uint64_t bytes_ = 0;
};

class OpenLayer {
 public:
  explicit OpenLayer(const std::filesystem::path& file)
      : fd_(open_regular_file(file)), reader_(fd_.get(), file) {}
  const squashfs::Reader& reader() const { return reader_; }

 private:
  Fd fd_;
  squashfs::Reader reader_;
};

PortableLayer find_layer(const std::vector<Store>& stores, const Digest& diff_id) {
  PortableLayer layer{.diff_id = diff_id};
  for (const Store& store : stores) {
    if (!store.has_layer(diff_id)) continue;
    const std::filesystem::path file = store.layer_path(diff_id);
    const bool has_record = std::filesystem::exists(tar_record_path(file));
    if (layer.origin == Origin::missing || has_record) {
      layer.file = file;
      layer.origin = has_record ? Origin::recorded : Origin::canonical;
    }
    if (has_record) break;
  }
  return layer;
}

[[noreturn]] void refuse(const PortableLayer& layer, std::string_view why) {
  throw Error(fmt::format("layer {}: {}", layer.diff_id.short_hex(), why),
              "pull the image again (mlctr rmi REF; mlctr gc --max-size 0; mlctr pull REF), or let the layer be written "
              "anew, with another digest: --rewrite-layers");
}

void set_diff_ids(PortableImage& image) {
  ordered_json config = ordered_json::parse(image.config_body);
  auto& rootfs = config["rootfs"] = {{"type", "layers"}, {"diff_ids", ordered_json::array()}};
  for (const PortableLayer& layer : image.layers) rootfs["diff_ids"].push_back(layer.diff_id.to_string());
  // docker's engine and umoci check that as many entries as layers have brought one.
  const auto brought_layer = [](const ordered_json& entry) {
    return entry.is_object() && !entry.value("empty_layer", false);
  };
  const auto history = config.find("history");
  const bool fits = history != config.end() && history->is_array() &&
                    static_cast<std::size_t>(std::ranges::count_if(*history, brought_layer)) == image.layers.size();
  if (!fits) config.erase("history");
  if (!config.contains("architecture")) config["architecture"] = Platform::host().architecture;
  if (!config.contains("os")) config["os"] = "linux";
  image.config_body = config.dump();
  image.is_rewritten = true;
}

// Everything in one layer.
void flatten(PortableImage& image, const std::stop_token& stop) {
  const OpenLayer whole(image.found.image.squashfs);
  image.layers = {{.origin = Origin::image,
                   .diff_id = squashfs::summarize_layer_tar(whole.reader(), stop).diff_id,
                   .file = image.found.image.squashfs}};
  set_diff_ids(image);
}

// Gives layers without a record the digest of the tar that they do have.
void rewrite(PortableImage& image, const std::stop_token& stop) {
  if (std::ranges::any_of(image.layers, [](const auto& layer) { return layer.origin == Origin::missing; })) {
    return flatten(image, stop);
  }
  bool is_changed = false;
  for (PortableLayer& layer : image.layers) {
    if (layer.origin != Origin::canonical) continue;
    const OpenLayer file(layer.file);
    const Digest diff_id = squashfs::summarize_layer_tar(file.reader(), stop).diff_id;
    if (diff_id == layer.diff_id) continue;
    layer.diff_id = diff_id;
    layer.descriptor.reset();
    is_changed = true;
  }
  if (is_changed) set_diff_ids(image);
}

// Docker's types of the same things.
std::string oci_layer_type(const std::string& type) {
  if (type == "application/vnd.docker.image.rootfs.diff.tar.gzip") return "application/vnd.oci.image.layer.v1.tar+gzip";
  if (type == "application/vnd.docker.image.rootfs.diff.tar.zstd") return "application/vnd.oci.image.layer.v1.tar+zstd";
  if (type == "application/vnd.docker.image.rootfs.diff.tar") return "application/vnd.oci.image.layer.v1.tar";
  if (type == "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") {
    return "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
  }
  return type;
}

}  // namespace

PortableImage open_portable_image(const Configuration& configuration, const FoundImage& found, LayerRewrite rewriting,
                                  const std::stop_token& stop) {
  std::string manifest_body = read_file(found.image.manifest, k_max_manifest_bytes);
  auto manifest = std::get<Manifest>(parse_manifest(manifest_body, {}));
  PortableImage image{.found = found,
                      .manifest_body = std::move(manifest_body),
                      .manifest = std::move(manifest),
                      .config_body = read_file(found.image.config, k_max_config_bytes),
                      .layers = {}};
  const ImageConfig config = parse_image_config(image.config_body);
  const auto& descriptors = image.manifest.layers;
  // A lone squashfs file has none, and is one.
  if (config.diff_ids.empty() || (!descriptors.empty() && descriptors.size() != config.diff_ids.size())) {
    flatten(image, stop);
    return image;
  }
  const std::vector<Store> stores = open_stores(configuration);
  for (std::size_t i = 0; i < config.diff_ids.size(); ++i) {
    image.layers.push_back(find_layer(stores, config.diff_ids[i]));
    if (!descriptors.empty()) image.layers.back().descriptor = descriptors[i];
  }
  if (rewriting == LayerRewrite::allow) rewrite(image, stop);
  return image;
}

void write_portable_layer(const PortableLayer& layer, const squashfs::ByteSink& sink, const std::stop_token& stop) {
  if (layer.origin == Origin::missing) refuse(layer, "it is not in the store any more");
  const OpenLayer file(layer.file);
  if (layer.origin == Origin::canonical &&
      squashfs::summarize_layer_tar(file.reader(), stop).diff_id != layer.diff_id) {
    refuse(layer, "how its tar was written is not known (an older mlctr pulled it, or it is an odd one)");
  }
  HashedSink hashed(sink, layer.diff_id.algorithm());
  const squashfs::ByteSink counted = [&](std::span<const std::byte> bytes) { hashed(bytes); };
  if (layer.origin == Origin::recorded) {
    const std::filesystem::path record = tar_record_path(layer.file);
    squashfs::replay_tar(open_regular_file(record).get(), record, file.reader(), counted, stop);
  } else {
    squashfs::write_layer_tar(file.reader(), counted, stop);
  }
  if (hashed.finish() != layer.diff_id) refuse(layer, "its file or its record is damaged");
}

Descriptor write_layer_blob(const PortableLayer& layer, squashfs::BlobCompression compression, unsigned threads,
                            const squashfs::ByteSink& sink, const std::stop_token& stop) {
  HashedSink hashed(sink);
  squashfs::BlobCompressor compressor(compression, threads, [&](std::span<const std::byte> bytes) { hashed(bytes); });
  write_portable_layer(
      layer, [&](std::span<const std::byte> bytes) { compressor.write(bytes); }, stop);
  compressor.finish();
  Descriptor blob{.media_type = layer_media_type(compression),
                  .digest = hashed.finish(),
                  .size_bytes = hashed.bytes(),
                  .urls = {}};
  if (layer.origin != Origin::image) {
    note_layer_blob(layer.file, compression_name(compression), {blob.digest, blob.size_bytes});
  }
  return blob;
}

std::string layer_media_type(squashfs::BlobCompression compression) {
  return "application/vnd.oci.image.layer.v1.tar+" + compression_name(compression);
}

std::string compression_name(squashfs::BlobCompression compression) {
  return compression == squashfs::BlobCompression::gzip ? "gzip" : "zstd";
}

std::string portable_manifest(const PortableImage& image, const std::vector<Descriptor>& layers) {
  const auto is_same = [](const Descriptor& a, const Descriptor& b) { return a.digest == b.digest; };
  if (!image.is_rewritten && std::ranges::equal(layers, image.manifest.layers, is_same)) return image.manifest_body;
  Manifest manifest{.media_type = std::string(k_oci_manifest),
                    .config = {.media_type = std::string(k_oci_config),
                               .digest = Digest::of(image.config_body),
                               .size_bytes = image.config_body.size(),
                               .urls = {}},
                    .layers = layers};
  for (Descriptor& layer : manifest.layers) layer.media_type = oci_layer_type(layer.media_type);
  const ordered_json own = ordered_json::parse(image.manifest_body);
  const auto annotations = own.find("annotations");
  if (annotations == own.end()) return write_manifest(manifest);
  ordered_json json = ordered_json::parse(write_manifest(manifest));
  json["annotations"] = *annotations;
  return json.dump();
}

}  // namespace mlctr
