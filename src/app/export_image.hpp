// The use case `mlctr export`: an image of the store as a file of the user's, to carry anywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

#include "app/configuration.hpp"
#include "app/destination_file.hpp"
#include "image/digest.hpp"

namespace mlctr {

struct ExportRequest {
  std::string image;                  ///< as find_image takes it
  std::filesystem::path destination;  ///< the file to be
  Overwrite overwrite = Overwrite::refuse;
};

struct ExportedImage {
  Digest manifest_digest;
  std::filesystem::path file;
  std::uint64_t bytes = 0;
};

ExportedImage export_image(const Configuration& configuration, const ExportRequest& request, std::stop_token stop);

/// Copies a squashfs file (a reflink where the filesystem can) so that `destination` appears whole or not at all.
/// Returns its length. Throws Error where `destination` is a directory, or exists and must not be replaced: not even a
/// file that appears in the last moment is.
std::uint64_t copy_squashfs(const std::filesystem::path& squashfs, const std::filesystem::path& destination,
                            Overwrite overwrite, std::stop_token stop);

/// Writes a squashfs file's bytes to an open descriptor, a pipe for instance; returns how many. `to_name` is for
/// messages.
std::uint64_t write_squashfs(const std::filesystem::path& squashfs, int to, std::string_view to_name,
                             std::stop_token stop);

}  // namespace mlctr
