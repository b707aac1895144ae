// Apptainer's and Singularity's image files: the squashfs of the system partition among other things.
// Source: https://github.com/sylabs/sif, pkg/sif (the layout of its structures). All little-endian, none aligned.
//
//   file       = header … { descriptor } … data
//   header     = launch-line[32] "SIF_MAGIC" NUL version[3] arch[3] id[16] i64 created i64 modified
//                i64 free-descriptors i64 total-descriptors i64 descriptors-offset i64 descriptors-bytes
//                i64 data-offset i64 data-bytes                                                     128 bytes
//   descriptor = i32 type u8 used u32 id u32 group u32 link i64 offset i64 size i64 padded-size
//                i64 created i64 modified i64 uid i64 gid name[128] extra[384]                      585 bytes
//   extra      = i32 filesystem i32 kind arch[3] …                  where the descriptor is a partition's
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace mlctr::squashfs {

/// A part of a file, checked to lie within it.
struct FilePart {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

/// The squashfs of the primary system partition. Absent where `file` is no SIF file. Throws Error where it is one
/// without such a partition (an encrypted one, an OCI image), or a broken one.
std::optional<FilePart> find_sif_image(int file, const std::filesystem::path& name);

/// Where the squashfs image in `file` begins: 0, but in a SIF file.
std::uint64_t find_image_offset(int file, const std::filesystem::path& name);

}  // namespace mlctr::squashfs
