// Files beside an image's that it has a part of itself in (squashfs/image_pieces.hpp).
#pragma once

#include <string_view>

namespace mlctr {

inline constexpr std::string_view k_piece_suffix = ".layer";

}  // namespace mlctr
