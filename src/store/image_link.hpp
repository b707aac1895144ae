// Second names for an image: they cost nothing, and what they name stays whole when the first ones go.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "image/digest.hpp"

namespace mlctr {

/// Gives the file `squashfs`, or what it is a link to, the name `link` as well, and the pieces beside it (image/
/// piece_name.hpp) theirs beside that. False where that can't be, with nothing left: across filesystems, and for
/// another user's file (protected_hardlinks, proc(5)).
bool link_image(const std::filesystem::path& squashfs, const std::filesystem::path& link);

/// Of the layer that a file of this name is a piece of; absent where it is none.
std::optional<Digest> diff_id_of_piece(std::string_view name);

}  // namespace mlctr
