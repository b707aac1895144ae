// LZO1X decompression: enroot's images have lzo metadata, which libsquashfs leaves out for its licence.
// Source: the kernel's Documentation/staging/lzo.rst (bitstream version 0, the only one in squashfs).
#pragma once

#include <cstddef>
#include <span>

namespace mlctr::squashfs {

/// How many bytes `stored` became; throws Error (the cause only) where it is broken or needs more room than `into` has.
std::size_t decompress_lzo(std::span<const std::byte> stored, std::span<std::byte> into);

}  // namespace mlctr::squashfs
