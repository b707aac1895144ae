// Where an image's manifest and blobs come from: a registry, an OCI layout, an archive. The seam that lets one pull
// serve all.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/byte_source.hpp"
#include "base/error.hpp"
#include "base/progress.hpp"
#include "image/manifest.hpp"

namespace mlctr {

/// A manifest as its bytes; `content_type` as the origin names it, empty where it doesn't.
struct OriginManifest {
  std::string body;
  std::string content_type;
};

/// A layer's blob on its way. Reading it gives every byte from the first, whatever had to be resumed to get there.
class LayerStream : public ByteSource {
 public:
  /// The layer was made: nothing of the blob is needed again. Without this call, what has arrived is kept for the next
  /// pull if (and only if) it was the transfer that ended early; bytes that did not convert are not kept.
  virtual void done() = 0;
  /// What came is not the blob, as `cause` tells. True where a new stream may bring better: it begins at the first byte
  /// where this one went on from what an earlier pull left, and keeps away from the mirror where one sent the bytes.
  virtual bool reject(const Error& cause) = 0;
  /// Bytes this pull moved over the network.
  virtual std::uint64_t transferred_bytes() const = 0;
};

class ImageOrigin {
 public:
  virtual ~ImageOrigin() = default;

  /// The manifest or index the user named, or (by digest) one that an index led to. By digest it is verified.
  virtual OriginManifest manifest(const std::optional<Digest>& digest, std::stop_token stop) = 0;

  /// The image's configuration, verified.
  virtual std::string config(const Descriptor& descriptor, std::stop_token stop) = 0;

  /// `partial` is where bytes may gather between pulls. Thread-safe; the stream may be used from another thread.
  virtual std::unique_ptr<LayerStream> layer(const Descriptor& descriptor, const std::filesystem::path& partial,
                                             ProgressItem& progress, std::stop_token stop) = 0;
};

}  // namespace mlctr
