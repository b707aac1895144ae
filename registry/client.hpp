// The pull half of the OCI distribution API (spec.md v1.1) and its token authentication (distribution's
// docs/spec/auth).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "image/manifest.hpp"
#include "image/reference.hpp"
#include "registry/credentials.hpp"
#include "registry/place.hpp"
#include "registry/transport.hpp"

namespace mlctr {

struct RegistrySettings {
  std::vector<Endpoint> mirrors;  ///< tried in order before the registry itself
  bool allow_plain_http = false;  ///< registries."host".plain_http: http only; loopback hosts need no setting
};

struct FetchedManifest {
  std::string body;  ///< the exact bytes
  std::string content_type;
  Digest digest;  ///< of the body, verified against the reference's where it has one
};

/// One repository of one registry. Thread-safe: layers download side by side with one client. A mirror that fails is a
/// note, once, and the next place is asked; one that is out of order, or serves what it must not, is not asked again.
/// `credential` is sent to the registry, and to a mirror only where its host is the registry's. Throws RemoteError
/// (HttpError, NetworkError), Cancelled, and what a sink throws.
class RegistryClient {
 public:
  RegistryClient(Transport& transport, RegistrySettings settings, ImageReference reference,
                 std::optional<Credential> credential);
  ~RegistryClient();

  /// `selector`: a tag or a digest. A missing one is an Error with the tags that exist, if the registry lists them; no
  /// access is an Error with which credentials were tried (their source).
  FetchedManifest manifest(const std::string& selector, std::stop_token stop);

  /// A small blob (a config), verified. Throws where it is larger than `max_bytes`.
  std::string blob(const Descriptor& descriptor, std::uint64_t max_bytes, std::stop_token stop);

  /// A layer's bytes into `sink`, from where it stands. Not verified: the conversion does that as it reads, and calls
  /// reject() where they are wrong. Signs in again when a token expires in the middle; goes to the descriptor's urls
  /// where the registry does not have a foreign layer.
  void download(const Descriptor& descriptor, BodySink& sink, std::stop_token stop);

  /// What download() brought of `blob` is not that blob, as `cause` tells: the mirrors that sent some of it are not
  /// asked again. False where none did, and another download would bring the same.
  bool reject(const Digest& blob, const std::string& cause);

  /// In the registry's order.
  std::vector<std::string> tags(std::size_t at_most, std::stop_token stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlctr
