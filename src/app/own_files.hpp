// The small files that mlctr puts into every image, under /.mlctr: manifest.json, config.json, provenance.json.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "app/open_image.hpp"

namespace mlctr {

class OwnFiles {
 public:
  explicit OwnFiles(const std::filesystem::path& squashfs) : image_(squashfs) {}

  /// Empty where the image has none. As large as a manifest or a config may be at most; throws Error beyond.
  std::string read(std::string_view file_name) const;

 private:
  OpenImage image_;
};

}  // namespace mlctr
