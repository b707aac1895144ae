// The use case `mlctr export --format enroot`: an image as a file that enroot runs, and mlctr as before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/export_image.hpp"

namespace mlctr {

struct ExportedForEnroot {
  std::filesystem::path file;
  std::string manifest_digest;  ///< empty for a lone file's
  std::uint64_t bytes = 0;
  std::vector<std::string> left_out;  ///< what enroot has no place for
};

/// Blocks are copied as they are. `request.image` may be a squashfs file as well. Throws Error where it is nothing, or
/// made by enroot already.
ExportedForEnroot export_for_enroot(const Configuration& configuration, const ExportRequest& request,
                                    std::stop_token stop);

}  // namespace mlctr
