// How a layer file keeps what only the merge understands (Whiteout, LowerLink, opaque, implied) in ordinary squashfs
// terms.
//   Whiteout = character device 0/0 and opaque = xattr, both as overlayfs has them; the others are ours.
#pragma once

#include <string_view>

namespace mlctr::squashfs {

inline constexpr std::string_view k_opaque_xattr = "user.overlay.opaque";     ///< "y" on a directory
inline constexpr std::string_view k_implied_xattr = "trusted.mlctr.implied";  ///< "y" on a directory
inline constexpr std::string_view k_link_xattr = "trusted.mlctr.link";        ///< the target, on an empty regular file
inline constexpr std::string_view k_mark_is_set = "y";

}  // namespace mlctr::squashfs
