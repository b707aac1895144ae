#include "app/open_image.hpp"

#include "squashfs/sif.hpp"

namespace mlctr {

OpenImage::OpenImage(const std::filesystem::path& path)
    : file(open_regular_file(path)),
      reader(std::make_unique<squashfs::Reader>(file.get(), path, squashfs::find_image_offset(file.get(), path))) {}

}  // namespace mlctr
