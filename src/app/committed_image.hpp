// What `mlctr commit` makes of an image and one layer of changes: manifest and configuration, with who, when and from
// what.
#pragma once

#include <cstdint>
#include <string>

#include "app/find_image.hpp"
#include "app/resolve_image.hpp"
#include "squashfs/changes_layer.hpp"

namespace mlctr {

struct CommitNote {
  std::string container;
  std::string base_reference;  ///< canonical, or a file's name
  std::string author;          ///< who commits, a user's name; may be empty
  std::int64_t time = 0;       ///< seconds since 1970
};

/// "2026-01-02T03:04:05Z"
std::string rfc_3339(std::int64_t time);

/// Whether the image's manifest tells of its layers: a lone squashfs file's does not.
bool has_layers(const StoredImage& image);

/// The base's layers, unchanged, and one more; the base has layers.
ResolvedImage describe_commit(const StoredImage& base, const squashfs::ChangesLayer& layer,
                              const CommitNote& note);

}  // namespace mlctr
