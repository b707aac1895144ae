// Names inside a layer: cleaned as umoci does (a leading '/', "." and repeated slashes vanish), never leading out of
// it, and the OCI image-spec's whiteout names (layer.md) told apart from files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr::squashfs {

/// The components of a cleaned path; none is the root. Views of the text they were parsed from.
using LayerPath = std::vector<std::string_view>;

/// "a/../b" is "b". Throws LayerError ("leads out of the layer") where ".." goes above the root, a name exceeds Linux's
/// 255 bytes or the whole its 4096; who knows what `text` is says so in front.
LayerPath parse_layer_path(std::string_view text);

/// What an entry's name makes of it.
enum class NameMeaning {
  ordinary,
  whiteout,  ///< ".wh.NAME"
  opaque,    ///< ".wh..wh..opq"
  ignored,   ///< aufs's own: ".wh..wh.aufs", ".wh..wh.plnk/..."
};

/// Throws LayerError for names that only look like whiteouts (".wh.", ".wh...", ".wh.x/y").
NameMeaning classify_name(const LayerPath& path);

inline constexpr std::string_view k_whiteout_prefix = ".wh.";

}  // namespace mlctr::squashfs
