// Serves a squashfs image through a mounted FUSE descriptor: the lower half of every rootfs (DESIGN decision 5).
// Stateless: a node id is the inode's place in the image, so memory does not grow with what was looked up.
// Source: libfuse3's fuse_lowlevel.h and the kernel's Documentation/filesystems/fuse*.rst.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "runtime/image_xattrs.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// Whom every file belongs to, as ids of the mount's user namespace: a single-id namespace has no other.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct ImageServerOptions {
  Owner owner;
  unsigned threads = 4;                       ///< at most; started as requests come
  std::size_t cached_data_bytes = 32u << 20;  ///< uncompressed blocks and fragments kept for the next read
  OverlayMarks marks = OverlayMarks::hidden;
  std::vector<std::string> programs{};        ///< where the program may be that is going to start (program_files.hpp)
  /// What the kernel first asked of a mount, FUSE_INIT: it does so once, and a server that takes over from another
  /// must have heard it all the same. Empty: nobody has served the mount.
  std::string first_request{};
  std::function<void(std::string)> on_first_request{};  ///< called in the serving thread; may be empty
};

/// Answers requests on `fuse`, a descriptor of /dev/fuse that was given to mount(2), until the mount ends (the last
/// process of its mount namespace went) or is aborted. Blocks; starts threads. A broken place of the image is EIO to
/// who reads it, never the end of the server. Throws SysError where FUSE itself fails.
void serve_image(Fd fuse, const squashfs::Reader& image, const ImageServerOptions& options);

}  // namespace mlctr::runtime
