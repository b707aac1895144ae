// The media types of manifests, configs and layers that mlctr knows (OCI image-spec media-types.md, distribution's
// manifest-v2-2.md). Types are compared exactly as written there.
#pragma once

#include <string_view>

namespace mlctr {

inline constexpr std::string_view k_oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view k_oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view k_docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view k_docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";

/// A Content-Type header's value without its parameters ("; charset=utf-8").
std::string_view bare_type(std::string_view content_type);

bool is_index_type(std::string_view type);
bool is_manifest_type(std::string_view type);
/// An image manifest or an index, schema 1 included: what an index may hold.
bool is_manifest_or_index_type(std::string_view type);
bool is_schema_1_type(std::string_view type);
bool is_docker_type(std::string_view type);

/// Docker's pushes of 2016 and some registries gave configs the wrong type or none; an artifact's type is none of
/// these.
bool is_image_config_type(std::string_view type);

enum class LayerKind { ordinary, foreign, encrypted, unknown };
/// foreign: non-distributable, may have to be fetched from the descriptor's urls.
LayerKind layer_kind(std::string_view type);

}  // namespace mlctr
