#include "squashfs/block_format.hpp"

#include <array>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_max_options_bytes = 256;  // mksquashfs writes 8 at most

}  // namespace

BlockFormat block_format(const Reader& image) {
  const Superblock& superblock = image.superblock();
  BlockFormat format{.compressor = superblock.compressor, .block_bytes = superblock.block_bytes};
  if ((superblock.flags & k_flag_compressor_options) == 0) return format;
  std::array<std::byte, sizeof(std::uint16_t)> header;
  image.image().read(k_superblock_bytes, header);
  const std::size_t size = get<std::uint16_t>(header) & ~k_raw_metadata;
  if (size > k_max_options_bytes) image.image().refuse("its compressor's options are too long");
  format.compressor_options.resize(header.size() + size);
  image.image().read(k_superblock_bytes, format.compressor_options);
  return format;
}

}  // namespace mlctr::squashfs
