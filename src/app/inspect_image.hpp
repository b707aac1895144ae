// The use case `mlctr inspect`: everything an image says about itself, from the store or from a lone squashfs file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "image/config.hpp"
#include "image/digest.hpp"
#include "image/manifest.hpp"

namespace mlctr {

/// /.mlctr/provenance.json: what the image's maker wrote into it. Only as true as the file's owner is honest.
struct Provenance {
  std::string reference;
  std::string manifest_digest;
  std::string container;  ///< whose changes it has; empty for an image as it was pulled
  std::string mlctr_version;
};

struct InspectedLayer {
  Digest digest;  ///< of the compressed blob
  std::uint64_t blob_bytes = 0;
  std::optional<Digest> diff_id;
  std::filesystem::path cached;  ///< its layer file in the store; empty where it has none
};

struct ImageInspection {
  std::string reference;                  ///< canonical; empty where the image was named by digest or is a lone file
  std::vector<std::string> references;    ///< all that lead to the image, `reference` among them
  std::optional<Digest> manifest_digest;  ///< absent for a squashfs that mlctr did not make, as manifest and config are
  std::filesystem::path store;            ///< empty for a lone file
  std::filesystem::path squashfs;
  std::uint64_t size_bytes = 0;            ///< of the squashfs file
  bool is_in_pieces = false;               ///< squashfs/image_pieces.hpp
  std::int64_t pulled_at = 0;              ///< seconds since 1970; 0 where unknown
  std::string manifest_body, config_body;  ///< exact bytes; empty where absent
  std::optional<ImageConfig> config;
  std::vector<InspectedLayer> layers;  ///< base first
  std::optional<Provenance> provenance;
  std::string provenance_body;  ///< as it lies in the image: with what its base said of itself, and so on; may be empty
};

/// `text`: as find_image takes it, else a squashfs file. Throws Error where it is neither.
ImageInspection inspect_image(const Configuration& configuration, std::string_view text);

}  // namespace mlctr
