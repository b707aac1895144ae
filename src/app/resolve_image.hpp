// From what the user named to one image for one platform: its manifest and its configuration, verified and agreeing.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "app/image_origin.hpp"
#include "image/config.hpp"
#include "image/manifest.hpp"
#include "image/platform.hpp"

namespace mlctr {

struct ResolvedImage {
  Digest digest;              ///< of manifest_body, SHA-256: the image's name in the store
  std::string manifest_body;  ///< exact bytes
  Manifest manifest;
  std::string config_body;  ///< exact bytes
  ImageConfig config;       ///< config.diff_ids has one entry a layer of the manifest
};

struct ResolvedManifest {
  std::optional<Digest> index;  ///< that the reference leads to, where it is one
  Digest digest;                ///< of `body`
  std::string body;             ///< exact bytes
  Manifest manifest;
};

/// The manifest for `wanted`, through the index or indexes above it. Throws Error, also where these go on without end.
ResolvedManifest resolve_manifest(ImageOrigin& origin, const Platform& wanted, const std::stop_token& stop);

/// Configurations that need not be fetched again: the one an image of this manifest digest has in a store, if it is in
/// one.
using KnownConfig = std::function<std::optional<std::string>(const Digest&)>;

ResolvedImage resolve_image(ImageOrigin& origin, const Platform& wanted, const KnownConfig& known_config,
                            std::stop_token stop);

}  // namespace mlctr
