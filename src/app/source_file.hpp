// The files that users name as images: what lies there, told from the file itself, and what to type for it.
#pragma once

#include <filesystem>
#include <string_view>

#include "image/reference.hpp"

namespace mlctr {

enum class SourceFile {
  missing,
  squashfs,
  sif,             ///< Apptainer's and Singularity's image: a squashfs somewhere inside
  oci_layout,      ///< a directory
  oci_archive,     ///< a tar of an OCI layout
  docker_archive,  ///< what `docker save` writes (today's is an OCI layout too)
  other_tar,
  damaged_tar,
  compressed,  ///< what is in it is not looked at
  directory,
  other,
  unreadable
};

/// Reads some bytes, of a tar the headers. Never throws.
SourceFile look_at(const std::filesystem::path& path);

/// Whether it is a regular file with a squashfs in it, to be mounted.
bool has_squashfs(const std::filesystem::path& file);

/// What the user means by `text`: an existing squashfs file, else what parse_image_source makes of it. Throws
/// UsageError, with what to type instead, where `text` names an archive or a layout, which need a prefix.
ImageSource find_source(std::string_view text);

/// Throws UsageError, with what to type instead, where the file of `source` is there but is of another kind.
void check_source(const ImageSource& source);

}  // namespace mlctr
