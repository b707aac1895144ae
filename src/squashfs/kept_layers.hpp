// Which layers an image has as pieces (image_pieces.hpp) instead of a copy.
#pragma once

#include <filesystem>
#include <vector>

#include "squashfs/extent_copy.hpp"
#include "squashfs/image_pieces.hpp"

namespace mlctr::squashfs {

/// Links what is worth it into `directory`, where the file `image` lies, and takes those parts out of `parts`, which
/// are in the image's order. Left: layers of which the image has less than 4 MiB, for a copy of that takes no longer
/// than it takes to open another file at every start; and those that can't have a second name there, or that others
/// may read than the image. What it returns lacks the image's size.
ImagePieces keep_layers(std::vector<PlacedPart>& parts, int image, const std::filesystem::path& directory);

}  // namespace mlctr::squashfs
