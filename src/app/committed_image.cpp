#include "app/committed_image.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "image/media_type.hpp"

namespace mlctr {
namespace {

using nlohmann::ordered_json;

std::vector<Descriptor> layers_of(const StoredImage& image) {
  return std::get<Manifest>(parse_manifest(read_file(image.manifest, k_max_manifest_bytes), {})).layers;
}

std::string extend_config(const std::string& base, const Digest& diff_id, const CommitNote& note) {
  ordered_json config = ordered_json::parse(base);
  config["created"] = rfc_3339(note.time);
  if (!note.author.empty()) config["author"] = note.author;
  config["rootfs"]["diff_ids"].push_back(diff_id.to_string());
  if (!config["history"].is_array()) config["history"] = ordered_json::array();
  ordered_json entry{{"created", rfc_3339(note.time)}, {"created_by", "mlctr commit " + note.container}};
  if (!note.author.empty()) entry["author"] = note.author;
  entry["comment"] = fmt::format("changes made in the container {} of {}", note.container, note.base_reference);
  config["history"].push_back(std::move(entry));
  return config.dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
}

// docker's tools check that the history has an entry for each layer; a base without one gets them.
std::string with_history(const std::string& config_body, std::size_t layers) {
  ordered_json config = ordered_json::parse(config_body);
  if (config.contains("history") && config["history"].is_array()) return config_body;
  config["history"] = ordered_json::array();
  for (std::size_t i = 0; i < layers; ++i) {
    config["history"].push_back({{"created_by", "layer of an image that has no history"}});
  }
  return config.dump();
}

std::string annotate(const std::string& manifest_body, const StoredImage& base, const CommitNote& note) {
  ordered_json json = ordered_json::parse(manifest_body);
  json["annotations"] = {{"org.opencontainers.image.created", rfc_3339(note.time)},
                         {"org.opencontainers.image.base.name", note.base_reference},
                         {"org.opencontainers.image.base.digest", base.manifest_digest.to_string()}};
  if (!note.author.empty()) json["annotations"]["org.opencontainers.image.authors"] = note.author;
  return json.dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string rfc_3339(std::int64_t time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time)));
}

bool has_layers(const StoredImage& image) {
  const ImageConfig config = parse_image_config(read_file(image.config, k_max_config_bytes));
  return !config.diff_ids.empty() && config.diff_ids.size() == layers_of(image).size();
}

ResolvedImage describe_commit(const StoredImage& base, const squashfs::ChangesLayer& layer, const CommitNote& note) {
  const std::string base_config = read_file(base.config, k_max_config_bytes);
  const ImageConfig parsed = parse_image_config(base_config);
  std::vector<Descriptor> layers = layers_of(base);
  // The blob is yet to be: as a plain tar the layer has a digest already.
  layers.push_back({.media_type = "application/vnd.oci.image.layer.v1.tar",
                    .digest = layer.diff_id,
                    .size_bytes = layer.tar_bytes,
                    .urls = {}});
  std::string config = extend_config(with_history(base_config, parsed.diff_ids.size()), layer.diff_id, note);
  Manifest manifest{.media_type = std::string(k_oci_manifest),
                    .config = {.media_type = "application/vnd.oci.image.config.v1+json",
                               .digest = Digest::of(config),
                               .size_bytes = config.size(),
                               .urls = {}},
                    .layers = std::move(layers)};
  std::string body = annotate(write_manifest(manifest), base, note);
  ImageConfig own = parse_image_config(config);
  const Digest digest = Digest::of(body);
  return ResolvedImage{digest, std::move(body), std::move(manifest), std::move(config), std::move(own)};
}

}  // namespace mlctr
