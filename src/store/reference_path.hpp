// File names for references. Names come from what people type and from registries, so each part is encoded; different
// references never share a file, and no name leaves references/.
//
//   references/<registry>/<repository part>/…/[<tag>][@<digest>].json   an image reference:
//   REGISTRY/REPOSITORY[:TAG][@DIGEST] references/_source/<all of it>.json                                 anything
//   else: a path, oci:DIR:TAG
//
//   part ::= each byte other than [A-Za-z0-9._@-] as %XX; so are "." at the start, "_" at the start of a registry, and
//   the dot
//            of ".json" at the end of a directory's name (a repository may be called "a/3.8.json"); a part over 200
//            bytes is its first 120, "%=", and 64 hex digits of SHA-256 over the whole; an empty part is "%"
#pragma once

#include <filesystem>
#include <string_view>

namespace mlctr {

/// Relative to references/. Any bytes are taken.
std::filesystem::path reference_path(std::string_view canonical_reference);

}  // namespace mlctr
