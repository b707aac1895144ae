// Extended attributes of a file in an overlay's upper directory: overlayfs's marks, and what belongs to the file.
#pragma once

#include <string>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

struct UpperXattrs {
  XattrSet own{};             ///< user.* and security.capability, sorted
  bool is_whiteout = false;   ///< on an empty regular file
  bool is_opaque = false;     ///< on a directory
  bool is_elsewhere = false;  ///< redirect or metacopy: the content is to be found under another name, or below
};

/// Of an open file or directory. `name` is for messages. Throws SysError.
UpperXattrs read_upper_xattrs(int fd, const std::string& name);

}  // namespace mlctr::squashfs
