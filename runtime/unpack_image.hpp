// A squashfs image as a directory, for kernels that can't mount it (DESIGN decision 5).
#pragma once

#include "base/fd.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// Fills `directory`, an empty one that nobody else writes to, with the image's tree, as the calling user: who owns a
/// file in the image is lost, as the image mount hides it too. Left out are device nodes, setuid and setgid bits of
/// files, and extended attributes that the image mount doesn't show or the filesystem doesn't take; hard links, holes,
/// modes and times are as in the image. Never follows a link. `threads` write contents. Throws Error, and leaves what
/// was made so far: a full disk, a broken image, paths longer than programs could name.
void unpack_image(const squashfs::Reader& image, const Fd& directory, unsigned threads);

}  // namespace mlctr::runtime
