// The push half of the OCI distribution API (spec.md v1.1, "Push"): blobs in chunks that can be gone on with, manifests,
// mounts from another repository of the same registry.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "image/digest.hpp"
#include "image/reference.hpp"
#include "registry/client.hpp"
#include "registry/credentials.hpp"
#include "registry/place.hpp"
#include "registry/transport.hpp"

namespace mlctr {

struct PushSettings {
  std::uint64_t chunk_bytes = 16u << 20;           ///< held in memory until the registry has them
  std::chrono::milliseconds first_backoff{500};    ///< between the tries of one chunk; doubles
  unsigned max_attempts = 6;                       ///< of a chunk in a row
  std::chrono::seconds commit_timeout{600};        ///< a registry may read a whole blob again before it answers
};

/// The registry has forgotten an upload, or holds less of it than we do: the blob has to be sent from its start.
class UploadLost : public RemoteError {
 public:
  using RemoteError::RemoteError;
};

/// One blob on its way. Destroyed before finish(), it is left to the registry to forget.
class BlobUpload {
 public:
  virtual ~BlobUpload() = default;
  /// The blob's next bytes. Throws UploadLost, RemoteError, Cancelled.
  virtual void append(std::span<const std::byte> bytes) = 0;
  /// `digest` is of all bytes appended. Throws as append() does; HttpError where the registry found another digest.
  virtual void finish(const Digest& digest) = 0;
};

/// One repository of one registry, to write to. Thread-safe: layers go up side by side. Only the registry itself is
/// spoken to, never a mirror, and only it is given the credential: where it sends an upload elsewhere, that goes without.
class PushClient {
 public:
  PushClient(Transport& transport, const RegistrySettings& registry, ImageReference destination,
             std::optional<Credential> credential, PushSettings settings = {});
  ~PushClient();

  /// HEAD. Where the registry won't say, it is taken not to be there.
  bool has_blob(const Digest& blob, std::stop_token stop);

  /// Has the registry link to a blob that another of its repositories has. False where it won't: it is to be sent then.
  bool mount(const Digest& blob, const std::string& from_repository, std::stop_token stop);

  /// `on_sent` is told how many bytes have left, from any thread. This outlives what is returned.
  std::unique_ptr<BlobUpload> begin_upload(std::function<void(std::uint64_t)> on_sent, std::stop_token stop);

  /// Under a tag or, where `tag` is empty, its digest alone.
  void put_manifest(std::string_view body, const std::string& media_type, const std::string& tag,
                    std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlctr
