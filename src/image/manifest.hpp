// Manifests and indexes: OCI image-spec v1.1 (manifest.md, image-index.md) and Docker's v2 schema 2 ("v2s2", manifest
// list). All input is hostile: sizes, counts and nesting are bounded, and a wrong shape is an Error that names the JSON
// path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "image/digest.hpp"
#include "image/platform.hpp"

namespace mlctr {

inline constexpr std::uint64_t k_max_manifest_bytes =
    4u << 20;  // what distribution's registry takes; OCI asks for this much

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;
  std::vector<std::string> urls;  ///< of foreign (non-distributable) layers: http and https only
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  ///< base first
};

struct IndexEntry {
  Descriptor descriptor;
  std::optional<Platform> platform;
  bool is_attestation = false;  ///< unknown/unknown or annotated as one: never chosen
};

struct Index {
  std::vector<IndexEntry> entries;
};

/// `content_type` is the registry's header, used where the body names no mediaType. Throws Error; schema 1, OCI
/// artifacts and encrypted layers are refused with what they are.
std::variant<Manifest, Index> parse_manifest(std::string_view body, std::string_view content_type);

/// The best entry for `wanted`; throws Error that lists the platforms which exist.
const IndexEntry& choose_platform(const Index& index, const Platform& wanted);

/// An OCI manifest for an image that came without one (docker-archive), canonical bytes.
std::string write_manifest(const Manifest& manifest);

/// For the Accept header of a manifest request.
std::vector<std::string> accepted_manifest_types();

}  // namespace mlctr
