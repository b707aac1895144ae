// An image that is not all in one file: what its large layers bring stays in the layers' own files, which have a second
// name (a hard link) beside the image. Making one takes no copy, and images with a layer in common share it, on disk
// and in the page cache. The file is what the whole image would be, byte for byte, but for
//
//   holes     where a piece has the bytes
//   magic     "mlcp" instead of the superblock's "hsqs": other programs refuse it
//   its end   segments  ascending: u64 at, size, at in the piece, number of the piece       little-endian
//             names     of the pieces, each with a NUL: "<64 hexadecimal digits>.layer", the layer's diff_id
//             footer    u64 size of the whole image, u64 number of segments, u64 bytes of names, "mlctrpcs"
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::squashfs {

struct PieceSegment {
  std::uint64_t at = 0;  ///< in the image
  std::uint64_t size = 0;
  std::uint64_t from = 0;  ///< in the piece
  std::uint64_t piece = 0;
};

struct ImagePieces {
  std::vector<std::string> names;
  std::vector<PieceSegment> segments;
  std::uint64_t image_bytes = 0;
};

/// What a layer file of the store ("<hex>.sqsh") or a piece is called as a piece; empty where it is neither.
std::string piece_name(const std::filesystem::path& file);

/// Whether there is anything to read.
bool has_pieces(int file, std::string_view file_name);
/// Every number is checked. Throws Error where they are broken.
ImagePieces read_pieces(int file, std::string_view file_name);

/// Makes a whole image of `pieces.image_bytes`, which has holes for the segments, one that is in pieces.
void write_pieces(int file, const ImagePieces& pieces, std::string_view file_name);

}  // namespace mlctr::squashfs
