// An image of the store as other tools take it: a manifest, a configuration and layers that are tars again, whether they
// were pulled, built or committed. What `push` and `save --format` have in common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/find_image.hpp"
#include "image/manifest.hpp"
#include "squashfs/blob_compressor.hpp"
#include "squashfs/content_stream.hpp"

namespace mlctr {

/// What becomes of a layer whose tar can't be made again (pulled by an older mlctr, or gone since): it is refused, or
/// written anew, with another digest.
enum class LayerRewrite { refuse, allow };

struct PortableLayer {
  enum class Origin {
    recorded,   ///< the layer file and the record of its tar
    canonical,  ///< the layer file alone: its tar is squashfs/layer_tar.hpp's
    image,      ///< the whole image as one layer
    missing,    ///< no store has it: only a registry that has its blob can give it
  };
  Origin origin = Origin::missing;
  Digest diff_id;
  std::optional<Descriptor> descriptor{};  ///< of the blob it was pulled as, where the image's manifest has one
  std::filesystem::path file{};            ///< the layer's, or the image's
};

struct PortableImage {
  FoundImage found;
  std::string manifest_body;  ///< as the store has it
  Manifest manifest;
  std::string config_body;    ///< its diff_ids are the layers'
  bool is_rewritten = false;  ///< some layer, and so the configuration, is not the store's
  std::vector<PortableLayer> layers;  ///< base first
};

/// Throws Error where the image has no layers to speak of and may not be rewritten.
PortableImage open_portable_image(const Configuration& configuration, const FoundImage& found, LayerRewrite rewrite,
                                  const std::stop_token& stop);

/// The layer's tar, whose SHA-256 is its diff_id. Throws Error, with a hint, where it can't be made again.
void write_portable_layer(const PortableLayer& layer, const squashfs::ByteSink& sink, const std::stop_token& stop);

/// The same, compressed; notes the blob's digest beside the layer file.
Descriptor write_layer_blob(const PortableLayer& layer, squashfs::BlobCompression compression, unsigned threads,
                            const squashfs::ByteSink& sink, const std::stop_token& stop);

/// How an OCI manifest calls such a layer's blob.
std::string layer_media_type(squashfs::BlobCompression compression);
/// "gzip", "zstd".
std::string compression_name(squashfs::BlobCompression compression);

/// The store's own bytes where the layers are its own blobs, else an OCI manifest with the same annotations.
std::string portable_manifest(const PortableImage& image, const std::vector<Descriptor>& layers);

}  // namespace mlctr
