#include "image/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/json_value.hpp"
#include "image/media_type.hpp"

namespace mlctr {
namespace {

// Far over what is in use, and low enough that what we keep of each costs nothing.
constexpr std::size_t k_max_layers = 1000;   // overlayfs-based tools stop at 127
constexpr std::size_t k_max_entries = 1000;  // of an index: each is one platform
// What JSON numbers hold exactly; a thousand of these still fit into 64 bits together.
constexpr std::uint64_t k_max_blob_bytes = 1ull << 53;

// Only what can be asked for and shown as it stands; a space would end it in an HTTP request line.
bool is_web_url(std::string_view url) {
  const bool has_scheme = url.starts_with("https://") || url.starts_with("http://");
  return has_scheme && url.size() <= 4096 && std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f; });
}

Descriptor parse_descriptor(const JsonValue& value) {
  return {.media_type = value.text_of("mediaType"),
          .digest = value.at("digest").as_digest(),
          .size_bytes = value.at("size").as_unsigned(k_max_blob_bytes),
          .urls = {}};
}

// Before the digest, because an artifact's descriptor often has an empty one.
void check_config_type(const JsonValue& config) {
  const std::string type = config.text_of("mediaType");
  if (is_image_config_type(type)) return;
  config.at("mediaType")
      .fail(fmt::format("this is no container image but an artifact of type {}", printable(type)),
            "artifacts (charts, signatures, models) can't be run: fetch them with oras or helm");
}

Descriptor parse_layer(const JsonValue& value) {
  const JsonValue type = value.at("mediaType");
  switch (layer_kind(type.as_string())) {
    case LayerKind::ordinary:
      return parse_descriptor(value);
    case LayerKind::foreign:
      break;
    case LayerKind::encrypted:
      type.fail("the layer is encrypted, which mlctr can't undo",
                "make a plain copy with a key: skopeo copy --decryption-key KEY docker://SOURCE docker://COPY");
    case LayerKind::unknown:
      type.fail(fmt::format("layers of type {} are not supported", printable(type.as_string())),
                "layers are tar archives, plain or compressed with gzip or zstd");
  }
  Descriptor layer = parse_descriptor(value);
  // Only foreign layers may send us elsewhere: on others a url is a way to make clients send requests (CVE-2020-15157).
  if (const auto urls = value.find("urls")) {
    layer.urls = urls->as_strings();
    std::erase_if(layer.urls, [](const std::string& url) { return !is_web_url(url); });
  }
  return layer;
}

// `media_type` is empty where neither header nor body has one: OCI allows that, and then the config's type tells.
Manifest parse_image_manifest(const JsonValue& root, std::string media_type) {
  const JsonValue config = root.at("config");
  check_config_type(config);
  Manifest manifest{.media_type = std::move(media_type), .config = parse_descriptor(config), .layers = {}};
  for (const JsonValue& layer : root.at("layers").elements(k_max_layers)) manifest.layers.push_back(parse_layer(layer));
  if (manifest.media_type.empty()) {
    manifest.media_type = is_docker_type(manifest.config.media_type) ? k_docker_manifest : k_oci_manifest;
  }
  return manifest;
}

Platform parse_platform(const JsonValue& value) {
  return {.os = value.text_of("os"),
          .architecture = value.text_of("architecture"),
          .variant = value.text_of("variant"),
          .os_version = value.text_of("os.version")};
}

// BuildKit marks what it attaches to an image both ways.
bool is_attestation(const JsonValue& entry, const std::optional<Platform>& platform) {
  if (platform && (platform->os == "unknown" || platform->architecture == "unknown")) return true;
  const auto annotations = entry.find("annotations");
  return annotations && annotations->find("vnd.docker.reference.type");
}

Index parse_index(const JsonValue& root) {
  Index index;
  for (const JsonValue& value : root.at("manifests").elements(k_max_entries)) {
    // image-index.md: "implementations … MUST ignore unknown media types"; an artifact's entry is no image either.
    if (!is_manifest_or_index_type(value.text_of("mediaType")) || value.find("artifactType")) continue;
    IndexEntry entry{.descriptor = parse_descriptor(value), .platform = {}, .is_attestation = false};
    if (const auto platform = value.find("platform")) entry.platform = parse_platform(*platform);
    entry.is_attestation = is_attestation(value, entry.platform);
    index.entries.push_back(std::move(entry));
  }
  return index;
}

// Schema 1 is told from all else before anything is asked of the document: its shape shares nothing with ours.
void refuse_schema_1(const JsonValue& root, std::string_view media_type) {
  const auto version = root.find("schemaVersion");
  const bool is_version_1 = version && version->is_unsigned() && version->as_unsigned(UINT64_MAX) == 1;
  if (!is_version_1 && !is_schema_1_type(media_type) && !root.find("fsLayers")) return;
  throw Error(
      "the image is in Docker's schema 1 format of 2014, which has no checkable config and is no longer supported",
      "ask its owner to push it again with a tool of today, or convert it: skopeo copy --format oci docker://SOURCE "
      "docker://COPY");
}

enum class Kind { image, index };

// The shape decides; what header and body call it must agree, or one client would take for an index what another takes
// for an image (CVE-2021-41190).
Kind kind_of(const JsonValue& root, std::string_view media_type) {
  const bool has_manifests = root.find("manifests").has_value();
  const bool has_image = root.find("layers") || root.find("config");
  if (has_manifests && has_image) root.fail("it claims to be an image and an index at once");
  if (is_index_type(media_type) || (has_manifests && media_type.empty())) return Kind::index;
  if (is_manifest_type(media_type) || has_image) return Kind::image;
  root.fail(media_type.empty() ? std::string("it is neither an image manifest nor an index")
                               : fmt::format("manifests of type {} are not supported", printable(media_type)));
}

// The type to go by: the body's own, else the registry's header where that is a manifest's at all.
std::string effective_type(const JsonValue& root, std::string_view content_type) {
  const std::string header(bare_type(content_type));
  std::string own = root.text_of("mediaType");
  const bool header_counts = is_manifest_or_index_type(header) || is_schema_1_type(header);
  if (own.empty()) return header_counts ? header : std::string();
  if (header_counts && is_index_type(header) != is_index_type(own)) {
    root.at("mediaType").fail(fmt::format("it is {}, but the registry said {}", printable(own), header));
  }
  return own;
}

// For the message when none fits: each once, in the index's order. What an index says of itself is hostile.
std::string list_platforms(const Index& index) {
  constexpr std::size_t k_shown = 20;
  std::vector<std::string> names;
  for (const IndexEntry& entry : index.entries) {
    if (entry.is_attestation || !entry.platform) continue;
    std::string name = printable(entry.platform->to_string());
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  const std::size_t more = names.size() > k_shown ? names.size() - k_shown : 0;
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

// In the specification's order of members, which is what other tools write.
nlohmann::ordered_json to_json(const Descriptor& descriptor) {
  nlohmann::ordered_json json{
      {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.to_string()}, {"size", descriptor.size_bytes}};
  if (!descriptor.urls.empty()) json["urls"] = descriptor.urls;
  return json;
}

}  // namespace

std::variant<Manifest, Index> parse_manifest(std::string_view body, std::string_view content_type) {
  const nlohmann::json document = parse_json(body, {.max_bytes = k_max_manifest_bytes});
  const JsonValue root(document);
  const std::string media_type = effective_type(root, content_type);
  refuse_schema_1(root, media_type);
  const JsonValue version = root.at("schemaVersion");
  if (const std::uint64_t number = version.as_unsigned(UINT64_MAX); number != 2) {
    version.fail(fmt::format("manifests of version {} are not supported", number));
  }
  if (kind_of(root, media_type) == Kind::index) return parse_index(root);
  return parse_image_manifest(root, media_type);
}

const IndexEntry& choose_platform(const Index& index, const Platform& wanted) {
  const IndexEntry* best = nullptr;
  int best_score = 0;
  for (const IndexEntry& entry : index.entries) {
    if (entry.is_attestation) continue;
    // An entry without a platform may be for any: better than nothing, worse than every one that says it fits.
    const int score = entry.platform ? 2 * platform_score(wanted, *entry.platform) : 1;
    if (score <= best_score) continue;
    best = &entry;
    best_score = score;
  }
  if (best != nullptr) return *best;
  const std::string existing = list_platforms(index);
  if (existing.empty())
    throw Error(fmt::format("no image for {}: the index names no image at all", wanted.to_string()));
  throw Error(fmt::format("no image for {}: there is one for {}", wanted.to_string(), existing),
              "take another tag, or choose one of these with --arch");
}

std::string write_manifest(const Manifest& manifest) {
  nlohmann::ordered_json json{
      {"schemaVersion", 2},
      {"mediaType", manifest.media_type.empty() ? std::string(k_oci_manifest) : manifest.media_type},
      {"config", to_json(manifest.config)},
      {"layers", nlohmann::ordered_json::array()}};
  for (const Descriptor& layer : manifest.layers) json["layers"].push_back(to_json(layer));
  return json.dump();
}

std::vector<std::string> accepted_manifest_types() {
  return {std::string(k_oci_index), std::string(k_docker_list), std::string(k_oci_manifest),
          std::string(k_docker_manifest)};
}

}  // namespace mlctr
