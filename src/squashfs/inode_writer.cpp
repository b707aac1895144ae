#include "squashfs/inode_writer.hpp"

#include <fmt/format.h>

#include <limits>

#include "base/error.hpp"
#include "base/overloaded.hpp"

namespace mlctr::squashfs {
namespace {

// The kernel's new_encode_dev: 12 bits of major, 20 of minor.
std::uint32_t encode_device(std::uint32_t major, std::uint32_t minor) {
  return (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xfff00) << 12;
}

// A reader would take the next inode's bytes for block sizes, or the other way round.
void check_blocks(const FileContent& file, std::uint32_t block_bytes) {
  const std::uint64_t whole = file.size_bytes / block_bytes;
  const bool has_tail_block = file.size_bytes % block_bytes != 0 && file.fragment == k_no_fragment;
  if (file.block_words.size() != whole + (has_tail_block ? 1 : 0)) {
    throw Error(fmt::format("a file of {} bytes can't have {} blocks", file.size_bytes, file.block_words.size()));
  }
}

class InodeEncoder {
 public:
  InodeEncoder(const Inode& inode, const InodePlace& place) : inode_(inode), place_(place) {}

  Bytes encode() {
    const auto type = static_cast<std::uint16_t>(disk_type(inode_.kind));
    put(bytes_, static_cast<std::uint16_t>(is_extended() ? type + k_extended : type));
    put(bytes_, static_cast<std::uint16_t>(inode_.permissions & 07777));
    put(bytes_, place_.uid_index);
    put(bytes_, place_.gid_index);
    put(bytes_, inode_.mtime);
    put(bytes_, place_.number);
    std::visit(Overloaded{[&](const Directory&) { put_directory(); }, [&](const FileContent& file) { put_file(file); },
                          [&](const Symlink& link) { put_symlink(link); },
                          [&](const Device& device) { put_device(device.major, device.minor); },
                          [&](const Fifo&) { put_links_only(); }, [&](const Socket&) { put_links_only(); },
                          [&](const Whiteout&) { put_device(0, 0); }, [&](const LowerLink&) { put_file({}); }},
               inode_.kind);
    return std::move(bytes_);
  }

 private:
  bool has_xattrs() const { return place_.xattrs != k_no_xattrs; }

  // Only where the basic form has no room: for xattrs, an index, a file's links or holes, large numbers. Most inodes
  // are small then, and a walk reads fewer metadata blocks.
  bool is_extended() const {
    if (has_xattrs()) return true;
    if (std::holds_alternative<Directory>(inode_.kind)) {
      return !place_.listing->index.empty() ||
             place_.listing->size_bytes > std::numeric_limits<std::uint16_t>::max() - k_listing_overhead;
    }
    const auto* file = std::get_if<FileContent>(&inode_.kind);
    constexpr std::uint64_t k_max = std::numeric_limits<std::uint32_t>::max();
    return file != nullptr &&
           (place_.links > 1 || file->hole_bytes > 0 || file->size_bytes > k_max || file->start > k_max);
  }

  // The two forms have the same fields in different orders: see the structs in the kernel's squashfs_fs.h.
  void put_directory() {
    const Listing& listing = *place_.listing;
    const auto block = static_cast<std::uint32_t>(listing.start.block);
    const std::uint32_t size = listing.size_bytes + k_listing_overhead;
    if (!is_extended()) {
      put(bytes_, block);
      put(bytes_, place_.links);
      put(bytes_, static_cast<std::uint16_t>(size));
      put(bytes_, listing.start.offset);
      put(bytes_, place_.parent_number);
      return;
    }
    put(bytes_, place_.links);
    put(bytes_, size);
    put(bytes_, block);
    put(bytes_, place_.parent_number);
    put(bytes_, static_cast<std::uint16_t>(listing.index.size()));
    put(bytes_, listing.start.offset);
    put(bytes_, place_.xattrs);
    for (const IndexEntry& entry : listing.index) {
      put(bytes_, entry.listing_offset);
      put(bytes_, entry.block);
      // No name is empty, so the format counts from one.
      put(bytes_, static_cast<std::uint32_t>(entry.name.size() - 1));
      put(bytes_, std::as_bytes(std::span(entry.name)));
    }
  }

  void put_file(const FileContent& file) {
    check_blocks(file, place_.block_bytes);
    if (!is_extended()) {
      put(bytes_, static_cast<std::uint32_t>(file.start));
      put(bytes_, file.fragment);
      put(bytes_, file.fragment_offset);
      put(bytes_, static_cast<std::uint32_t>(file.size_bytes));
    } else {
      put(bytes_, file.start);
      put(bytes_, file.size_bytes);
      put(bytes_, file.hole_bytes);
      put(bytes_, place_.links);
      put(bytes_, file.fragment);
      put(bytes_, file.fragment_offset);
      put(bytes_, place_.xattrs);
    }
    for (const std::uint32_t word : file.block_words) put(bytes_, word);
  }

  void put_symlink(const Symlink& link) {
    put(bytes_, place_.links);
    put(bytes_, static_cast<std::uint32_t>(link.target.size()));
    put(bytes_, std::as_bytes(std::span(link.target)));
    if (has_xattrs()) put(bytes_, place_.xattrs);
  }

  void put_device(std::uint32_t major, std::uint32_t minor) {
    put(bytes_, place_.links);
    put(bytes_, encode_device(major, minor));
    if (has_xattrs()) put(bytes_, place_.xattrs);
  }

  void put_links_only() {
    put(bytes_, place_.links);
    if (has_xattrs()) put(bytes_, place_.xattrs);
  }

  const Inode& inode_;
  const InodePlace& place_;
  Bytes bytes_;
};

}  // namespace

InodeType disk_type(const InodeKind& kind) {
  return std::visit(
      Overloaded{[](const Directory&) { return InodeType::directory; },
                 [](const FileContent&) { return InodeType::file; }, [](const Symlink&) { return InodeType::symlink; },
                 [](const Device& device) {
                   return device.kind == DeviceKind::block ? InodeType::block_device : InodeType::character_device;
                 },
                 [](const Fifo&) { return InodeType::fifo; }, [](const Socket&) { return InodeType::socket; },
                 [](const Whiteout&) { return InodeType::character_device; },
                 [](const LowerLink&) { return InodeType::file; }},
      kind);
}

Bytes encode(const Inode& inode, const InodePlace& place) {
  return InodeEncoder(inode, place).encode();
}

}  // namespace mlctr::squashfs
