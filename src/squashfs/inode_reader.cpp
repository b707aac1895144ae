#include "squashfs/inode_reader.hpp"

#include <fmt/format.h>

namespace mlctr::squashfs {
namespace {

// 2 TiB of file in blocks of 128 KiB. Holes cost a hostile image nothing, so that something must limit them.
constexpr std::uint64_t k_max_blocks_a_file = 1u << 24;
constexpr std::uint32_t k_max_target_bytes = 65535;

class InodeParser {
 public:
  InodeParser(MetadataCursor& cursor, const ImageFile& image, const Superblock& superblock,
              std::span<const std::uint32_t> ids)
      : cursor_(cursor), image_(image), superblock_(superblock), ids_(ids) {}

  StoredInode parse() {
    const auto type = read<std::uint16_t>();
    if (type == 0 || type > 2 * k_extended) image_.refuse(fmt::format("an inode has the unknown type {}", type));
    is_extended_ = type > k_extended;
    inode_.permissions = read<std::uint16_t>() & 07777;
    inode_.uid = owner(read<std::uint16_t>());
    inode_.gid = owner(read<std::uint16_t>());
    inode_.mtime = read<std::uint32_t>();
    inode_.number = read<std::uint32_t>();
    inode_.kind = kind(InodeType{static_cast<std::uint16_t>(is_extended_ ? type - k_extended : type)});
    return std::move(inode_);
  }

 private:
  template <std::unsigned_integral T>
  T read() {
    return cursor_.read<T>();
  }

  std::uint32_t owner(std::uint16_t place) const {
    if (place >= ids_.size()) image_.refuse("an inode's owner is missing in the id table");
    return ids_[place];
  }

  StoredKind kind(InodeType type) {
    switch (type) {
      case InodeType::directory:
        return directory();
      case InodeType::file:
        return file();
      case InodeType::symlink:
        return symlink();
      case InodeType::block_device:
        return device(DeviceKind::block);
      case InodeType::character_device:
        return device(DeviceKind::character);
      case InodeType::fifo:
        read_links_only();
        return Fifo{};
      case InodeType::socket:
        read_links_only();
        return Socket{};
    }
    image_.refuse("an inode has an unknown type");
  }

  StoredDirectory directory() {
    StoredDirectory directory;
    std::uint32_t size = 0;
    if (is_extended_) {
      inode_.links = read<std::uint32_t>();
      size = read<std::uint32_t>();
      directory.listing.block = read<std::uint32_t>();
      directory.parent_number = read<std::uint32_t>();
      directory.index_count = read<std::uint16_t>();
      directory.listing.offset = read<std::uint16_t>();
      inode_.xattrs = read<std::uint32_t>();
      if (directory.index_count > 0) directory.index = cursor_.position();
    } else {
      directory.listing.block = read<std::uint32_t>();
      inode_.links = read<std::uint32_t>();
      size = read<std::uint16_t>();
      directory.listing.offset = read<std::uint16_t>();
      directory.parent_number = read<std::uint32_t>();
    }
    directory.size_bytes = size < k_listing_overhead ? 0 : size - k_listing_overhead;
    return directory;
  }

  StoredFile file() {
    StoredFile file;
    if (is_extended_) {
      file.start = read<std::uint64_t>();
      file.size_bytes = read<std::uint64_t>();
      file.hole_bytes = read<std::uint64_t>();
      inode_.links = read<std::uint32_t>();
      file.fragment = read<std::uint32_t>();
      file.fragment_offset = read<std::uint32_t>();
      inode_.xattrs = read<std::uint32_t>();
    } else {
      file.start = read<std::uint32_t>();
      file.fragment = read<std::uint32_t>();
      file.fragment_offset = read<std::uint32_t>();
      file.size_bytes = read<std::uint32_t>();
    }
    check_tail(file);
    file.block_count = count_blocks(file);
    if (file.block_count > 0) file.block_words = cursor_.position();
    return file;
  }

  void check_tail(const StoredFile& file) const {
    if (file.fragment == k_no_fragment) return;
    if (file.fragment >= superblock_.fragment_count) image_.refuse("a file's fragment is missing");
    if (file.fragment_offset > superblock_.block_bytes ||
        file.size_bytes % superblock_.block_bytes > superblock_.block_bytes - file.fragment_offset) {
      image_.refuse("a file's tail lies outside of its fragment");
    }
  }

  std::uint32_t count_blocks(const StoredFile& file) const {
    const std::uint32_t block = superblock_.block_bytes;
    const bool has_tail_block = file.size_bytes % block != 0 && file.fragment == k_no_fragment;
    const std::uint64_t count = file.size_bytes / block + (has_tail_block ? 1 : 0);
    if (count > k_max_blocks_a_file) image_.refuse(fmt::format("a file in it claims {} bytes", file.size_bytes));
    return static_cast<std::uint32_t>(count);
  }

  Symlink symlink() {
    inode_.links = read<std::uint32_t>();
    const auto size = read<std::uint32_t>();
    if (size > k_max_target_bytes) image_.refuse(fmt::format("a symlink's target claims {} bytes", size));
    Symlink link{.target = cursor_.read_text(size)};
    if (is_extended_) inode_.xattrs = read<std::uint32_t>();
    return link;
  }

  Device device(DeviceKind kind) {
    inode_.links = read<std::uint32_t>();
    const auto number = read<std::uint32_t>();
    if (is_extended_) inode_.xattrs = read<std::uint32_t>();
    // The kernel's new_decode_dev; numbers of 16 bits, as old tools wrote them, read the same.
    return {.kind = kind, .major = (number >> 8) & 0xfff, .minor = (number & 0xff) | ((number >> 12) & 0xfff00)};
  }

  void read_links_only() {
    inode_.links = read<std::uint32_t>();
    if (is_extended_) inode_.xattrs = read<std::uint32_t>();
  }

  MetadataCursor& cursor_;
  const ImageFile& image_;
  const Superblock& superblock_;
  std::span<const std::uint32_t> ids_;
  bool is_extended_ = false;
  StoredInode inode_;
};

}  // namespace

StoredInode read_inode(MetadataCursor& cursor, const ImageFile& image, const Superblock& superblock,
                       std::span<const std::uint32_t> ids) {
  return InodeParser(cursor, image, superblock, ids).parse();
}

}  // namespace mlctr::squashfs
