#include "image/media_type.hpp"

#include <algorithm>
#include <array>

namespace mlctr {
namespace {

constexpr std::string_view k_oci_layer = "application/vnd.oci.image.layer.v1.tar";
constexpr std::string_view k_oci_foreign_layer = "application/vnd.oci.image.layer.nondistributable.v1.tar";
constexpr std::string_view k_docker_layer = "application/vnd.docker.image.rootfs.diff.tar";
constexpr std::string_view k_docker_foreign_layer = "application/vnd.docker.image.rootfs.foreign.diff.tar";

// moby, distribution/registry.go: what it takes for an image's config, with the issues that made it so.
constexpr std::array<std::string_view, 6> k_config_types{"application/vnd.oci.image.config.v1+json",
                                                         "application/vnd.docker.container.image.v1+json",
                                                         "application/octet-stream",
                                                         "application/json",
                                                         "text/html",
                                                         ""};

// OCI writes the compression as "+gzip", Docker as ".gzip".
bool is_layer(std::string_view type, std::string_view base) {
  if (!type.starts_with(base)) return false;
  // With nothing behind the base it is a plain tar.
  const std::string_view compression = type.substr(base.size());
  return compression.empty() || compression == "+gzip" || compression == "+zstd" || compression == ".gzip" ||
         compression == ".zstd";
}

}  // namespace

std::string_view bare_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.front() == ' ') type.remove_prefix(1);
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

bool is_index_type(std::string_view type) {
  return type == k_oci_index || type == k_docker_list;
}

bool is_manifest_type(std::string_view type) {
  return type == k_oci_manifest || type == k_docker_manifest;
}

bool is_manifest_or_index_type(std::string_view type) {
  return is_index_type(type) || is_manifest_type(type) || is_schema_1_type(type);
}

bool is_schema_1_type(std::string_view type) {
  return type == "application/vnd.docker.distribution.manifest.v1+json" ||
         type == "application/vnd.docker.distribution.manifest.v1+prettyjws";
}

bool is_docker_type(std::string_view type) {
  return type.starts_with("application/vnd.docker.");
}

bool is_image_config_type(std::string_view type) {
  return std::ranges::find(k_config_types, type) != k_config_types.end();
}

// "+encrypted" stands behind any of the others (containers/ocicrypt).
LayerKind layer_kind(std::string_view type) {
  if (type.ends_with("+encrypted")) return LayerKind::encrypted;
  if (is_layer(type, k_oci_layer) || is_layer(type, k_docker_layer)) return LayerKind::ordinary;
  if (is_layer(type, k_oci_foreign_layer) || is_layer(type, k_docker_foreign_layer)) return LayerKind::foreign;
  return LayerKind::unknown;
}

}  // namespace mlctr
