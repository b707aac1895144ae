// What the data blocks of one image have in common: its superblock names one block size and one compressor.
#pragma once

#include <cstdint>

#include "squashfs/format.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

class Reader;

/// The default is what mlctr's own layers and images have (DESIGN decision 4).
struct BlockFormat {
  CompressorId compressor = CompressorId::zstd;
  std::uint32_t block_bytes = k_block_bytes;
  /// The metadata block right behind the superblock, as it lies there; empty where there is none. lz4 can't be read
  /// without it.
  Bytes compressor_options{};

  bool operator==(const BlockFormat&) const = default;
};

/// An image's, whoever made it. Throws Error where its options are broken.
BlockFormat block_format(const Reader& image);

}  // namespace mlctr::squashfs
