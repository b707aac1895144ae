// The files that tell enroot how to run an image (enroot_image.hpp), from an OCI config. Pure. What enroot's own import
// writes, but for its quoting: every text comes out of a POSIX shell, of enroot's environment reader and of fstab(5) as
// it was.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "image/config.hpp"

namespace mlctr {

struct EnrootFiles {
  std::string rc, rc_local, environment, fstab;
  std::string working_directory;        ///< which the script enters; absolute
  std::vector<std::string> left_out{};  ///< what enroot has no place for: "the variable a.b"
};

/// `reference`: where the image is from, for the script's first line.
EnrootFiles write_enroot_files(const ImageConfig& config, std::string_view reference);

}  // namespace mlctr
