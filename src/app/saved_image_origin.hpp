// Images that were saved to disk: an OCI layout (image-spec, image-layout.md) in a directory or an archive, and what
// `docker save` writes (moby's image-spec v1.2: manifest.json, one tar a layer).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "app/file_set.hpp"
#include "app/image_origin.hpp"

namespace mlctr {

/// `tag` is matched against org.opencontainers.image.ref.name; empty: the layout must hold one image (or index) only.
std::unique_ptr<ImageOrigin> make_oci_layout_origin(std::unique_ptr<FileSet> files, std::string tag);

/// `tag` is matched against RepoTags ("3.8", "python:3.8"); empty: the archive must hold one image only. The manifest
/// is made up from the configuration's diff_ids, so it is the same for the same image. Compressed layers have to be
/// read for that: throws Cancelled when `stop` is requested.
std::unique_ptr<ImageOrigin> make_docker_archive_origin(std::unique_ptr<FileSet> files, std::string tag,
                                                        std::stop_token stop);

}  // namespace mlctr
