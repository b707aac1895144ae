// An inode of the image as stat(2) shows it.
#pragma once

#include <sys/stat.h>

#include "runtime/image_server.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// Type, size, times and links as the image has them; the owner is `owner`, whoever it was in the image.
struct stat file_status(const squashfs::StoredInode& inode, const Owner& owner);

}  // namespace mlctr::runtime
