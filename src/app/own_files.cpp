#include "app/own_files.hpp"

#include <fmt/format.h>

#include "image/config.hpp"
#include "squashfs/file_content.hpp"

namespace mlctr {

std::string OwnFiles::read(std::string_view file_name) const {
  const std::string path = fmt::format("/.mlctr/{}", file_name);
  return squashfs::read_small_file(*image_.reader, path, k_max_config_bytes).value_or("");
}

}  // namespace mlctr
