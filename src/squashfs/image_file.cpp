#include "squashfs/image_file.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::squashfs {

ImageFile::ImageFile(int file, const std::filesystem::path& name, std::uint64_t offset)
    : file_(file), name_(name.string()), offset_(offset), size_(file_size(file, name_)) {
  if (offset > size_) refuse(fmt::format("it has {} bytes, and should begin at {}", size_, offset));
  size_ -= offset;
}

void ImageFile::read(std::uint64_t at, std::span<std::byte> into) const {
  if (at > size_ || into.size() > size_ - at || read_at(file_, into, offset_ + at, name_) != into.size()) {
    refuse("it ends too early");
  }
}

void ImageFile::refuse(std::string_view cause) const {
  throw Error(fmt::format("{} is not a whole squashfs image: {}", name_, cause),
              "it may have been copied or downloaded only in part: fetch it again");
}

}  // namespace mlctr::squashfs
