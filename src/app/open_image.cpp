#include "app/open_image.hpp"

#include "squashfs/sif.hpp"

namespace mlctr {

OpenImage::OpenImage(const std::filesystem::path& path) : OpenImage(open_regular_file(path), path) {}

OpenImage::OpenImage(Fd open, const std::filesystem::path& path)
    : file(std::move(open)),
      reader(std::make_unique<squashfs::Reader>(file.get(), path, squashfs::find_image_offset(file.get(), path))) {}

}  // namespace mlctr
