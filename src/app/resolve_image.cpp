#include "app/resolve_image.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace mlctr {
namespace {

// Indexes of indexes exist (an OCI layout's index.json that leads to one); more than this is a game.
constexpr int k_max_index_depth = 3;

// An image without an index has one platform only, and the configuration is where it says which.
void check_platform(const ImageConfig& config, const Platform& wanted) {
  if (config.platform.architecture.empty() || platform_score(wanted, config.platform) > 0) return;
  throw Error(fmt::format("it is for {} only, not for {}", config.platform.to_string(), wanted.to_string()),
              fmt::format("to pull it all the same: --arch {}", config.platform.architecture));
}

}  // namespace

ResolvedManifest resolve_manifest(ImageOrigin& origin, const Platform& wanted, const std::stop_token& stop) {
  std::optional<Digest> index, asked;
  for (int depth = 0; depth <= k_max_index_depth; ++depth) {
    OriginManifest found = origin.manifest(asked, stop);
    const Digest digest = Digest::of(found.body);
    std::variant<Manifest, Index> parsed = parse_manifest(found.body, found.content_type);
    if (auto* manifest = std::get_if<Manifest>(&parsed)) {
      return {.index = index, .digest = digest, .body = std::move(found.body), .manifest = std::move(*manifest)};
    }
    if (!index) index = digest;
    asked = choose_platform(std::get<Index>(parsed), wanted).descriptor.digest;
  }
  throw Error(fmt::format("its index leads to an index {} times over", k_max_index_depth));
}

ResolvedImage resolve_image(ImageOrigin& origin, const Platform& wanted, const KnownConfig& known_config,
                            std::stop_token stop) {
  ResolvedManifest named = resolve_manifest(origin, wanted, stop);
  std::optional<std::string> known = known_config(named.digest);
  std::string config_body = known ? std::move(*known) : origin.config(named.manifest.config, stop);
  ImageConfig config = parse_image_config(config_body);
  check_platform(config, wanted);
  if (config.diff_ids.size() != named.manifest.layers.size()) {
    throw Error(fmt::format("the manifest has {} layers, its configuration {} diff_ids", named.manifest.layers.size(),
                            config.diff_ids.size()),
                "the image is broken: it has to be pushed again");
  }
  return {.digest = named.digest,
          .manifest_body = std::move(named.body),
          .manifest = std::move(named.manifest),
          .config_body = std::move(config_body),
          .config = std::move(config)};
}

}  // namespace mlctr
