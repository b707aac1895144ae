// The use case `mlctr save --format`: an image of the store, as a file or directory that other tools read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>

#include "app/configuration.hpp"
#include "app/destination_file.hpp"
#include "app/portable_image.hpp"
#include "base/progress.hpp"

namespace mlctr {

enum class ArchiveFormat {
  oci_archive,     ///< a tar of an OCI layout (image-spec, image-layout.md)
  oci_directory,   ///< such a layout; an image is added to one that is there
  docker_archive,  ///< what `docker save` writes: layers as plain tars
};

struct ArchiveRequest {
  std::string image;  ///< as find_image takes it
  ArchiveFormat format = ArchiveFormat::oci_archive;
  std::filesystem::path destination{};
  std::string name{};  ///< what the archive calls it; empty: the image's reference
  Overwrite overwrite = Overwrite::refuse;
  squashfs::BlobCompression compression = squashfs::BlobCompression::gzip;  ///< of an OCI layout's layers
  LayerRewrite rewrite = LayerRewrite::refuse;
};

/// Returns how many bytes were written. A file appears whole or not at all; a directory's index names the image only
/// once all of it is there.
std::uint64_t save_archive(const Configuration& configuration, const ArchiveRequest& request, ProgressBoard& board,
                           std::stop_token stop);

}  // namespace mlctr
