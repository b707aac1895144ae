#include <fmt/format.h>
#include <unistd.h>

#include <limits>
#include <unordered_map>

#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/format.hpp"
#include "squashfs/inode_writer.hpp"
#include "squashfs/layer_marks.hpp"
#include "squashfs/listing_writer.hpp"
#include "squashfs/metadata_writer.hpp"
#include "squashfs/tables.hpp"
#include "squashfs/walk_order.hpp"
#include "squashfs/xattr_writer.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::string_view k_file_name = "the squashfs tables";
constexpr std::uint64_t k_file_alignment = 4096;  // of the whole image: a loop device needs whole sectors

// User and group ids, each once; inodes have 16-bit places in it.
class IdTable {
 public:
  std::uint16_t place(std::uint32_t id) {
    const auto [known, is_new] = places_.try_emplace(id, static_cast<std::uint16_t>(places_.size()));
    if (is_new && places_.size() >= k_max_ids) {
      throw Error("more than 65535 different owners, which squashfs can't hold");
    }
    if (is_new) put(records_, id);
    return known->second;
  }
  std::uint16_t count() const { return static_cast<std::uint16_t>(places_.size()); }
  const Bytes& records() const { return records_; }

 private:
  std::unordered_map<std::uint32_t, std::uint16_t> places_;
  Bytes records_;
};

// What a layer's mark is on disk, beyond the inode's own xattrs.
XattrSet marks_of(const InodeKind& kind) {
  XattrSet marks;
  if (const auto* directory = std::get_if<Directory>(&kind)) {
    if (directory->origin == DirectoryOrigin::implied) marks.emplace_back(k_implied_xattr, k_mark_is_set);
    if (directory->is_opaque) marks.emplace_back(k_opaque_xattr, k_mark_is_set);
  } else if (const auto* link = std::get_if<LowerLink>(&kind)) {
    marks.emplace_back(k_link_xattr, link->target);
  }
  return marks;
}

class TableWriter {
 public:
  TableWriter(const Tree& tree, const BlockFormat& format, MetadataCompression compression)
      : tree_(tree),
        format_(format),
        compression_(compression),
        order_(walk_order(tree)),
        positions_(tree.inodes.size()),
        xattr_numbers_(tree.xattr_sets.size(), k_unwritten),
        inodes_(compression),
        directories_(compression),
        xattrs_(compression) {}

  std::uint64_t write(int output, std::uint64_t tables_start) {
    for (const OrderedDirectory& directory : order_.directories) write_directory(directory);
    const Listing root = take_listing(k_root);
    const MetadataPosition root_position = write_inode(k_root, k_root, &root);
    return write_file(output, tables_start, root_position);
  }

 private:
  static constexpr std::uint32_t k_unwritten = k_no_xattrs - 1;

  // Children before their directory: its listing says where their inodes lie, and its own inode where that listing
  // does.
  void write_directory(const OrderedDirectory& directory) {
    const auto& children = tree_.directory(directory.index).children;
    std::size_t listing_bytes = 0;
    for (const auto& [name, child] : children) {
      listing_bytes += 8 + name.size();
      if (is_written(child)) continue;  // another name of it came first
      if (std::holds_alternative<Directory>(tree_.inodes[child].kind)) {
        const Listing listing = take_listing(child);
        write_inode(child, directory.index, &listing);
      } else {
        write_inode(child, directory.index, nullptr);
      }
    }
    ListingWriter writer(directories_,
                         listing_bytes > k_metadata_bytes ? ListingIndex::one_a_block : ListingIndex::none);
    for (const auto& [name, child] : children) {
      writer.add(name, {disk_type(tree_.inodes[child].kind), MetadataPosition::of(positions_[child] - 1),
                        order_.numbers[child]});
    }
    listings_.emplace(directory.index, writer.finish());
  }

  // Positions are kept plus one, so that 0 is an inode not yet written.
  bool is_written(InodeIndex index) const { return positions_[index] != 0; }

  Listing take_listing(InodeIndex directory) { return std::move(listings_.extract(directory).mapped()); }

  MetadataPosition write_inode(InodeIndex index, InodeIndex parent, const Listing* listing) {
    const Inode& inode = tree_.inodes[index];
    const MetadataPosition position = inodes_.position();
    if (position.block > std::numeric_limits<std::uint32_t>::max()) throw Error("more than 4 GiB of squashfs inodes");
    positions_[index] = position.reference() + 1;
    // The root's parent is one past the last inode, as mksquashfs has it.
    inodes_.append(encode(inode, {.number = order_.numbers[index],
                                  .parent_number = index == k_root ? order_.inode_count + 1 : order_.numbers[parent],
                                  .links = order_.links[index],
                                  .uid_index = ids_.place(inode.uid),
                                  .gid_index = ids_.place(inode.gid),
                                  .xattrs = write_xattrs(inode),
                                  .listing = listing,
                                  .block_bytes = format_.block_bytes}));
    return position;
  }

  std::uint32_t write_xattrs(const Inode& inode) {
    XattrSet marks = marks_of(inode.kind);
    // Few inodes bear marks, many share a set: only those without are looked up by their number in the tree.
    if (marks.empty()) {
      std::uint32_t& number = xattr_numbers_[inode.xattrs];
      if (number == k_unwritten) number = xattrs_.add(tree_.xattr_sets[inode.xattrs]);
      return number;
    }
    const XattrSet& own = tree_.xattr_sets[inode.xattrs];
    marks.insert(marks.end(), own.begin(), own.end());
    return xattrs_.add(marks);
  }

  Bytes fragment_records() const {
    Bytes records;
    for (const FragmentBlock& fragment : tree_.fragments) {
      put(records, fragment.start);
      put(records, fragment.size_word);
      put(records, std::uint32_t{0});
    }
    return records;
  }

  std::uint16_t flags() const {
    const int raw = k_flag_raw_inodes | k_flag_raw_xattrs | k_flag_raw_ids;
    return static_cast<std::uint16_t>((compression_ == MetadataCompression::none ? raw : 0) |
                                      (format_.compressor_options.empty() ? 0 : k_flag_compressor_options));
  }

  std::uint64_t write_file(int output, std::uint64_t tables_start, MetadataPosition root) {
    Superblock superblock{.inode_count = order_.inode_count,
                          .made_at = order_.newest_mtime,  // not the clock: the same layers give the same bytes
                          .block_bytes = format_.block_bytes,
                          .fragment_count = static_cast<std::uint32_t>(tree_.fragments.size()),
                          .compressor = format_.compressor,
                          .flags = flags(),
                          .id_count = ids_.count(),
                          .root_inode = root.reference()};
    std::uint64_t at = tables_start;
    const auto append = [&](std::span<const std::byte> bytes) {
      write_all_at(output, bytes, at, k_file_name);
      return std::exchange(at, at + bytes.size());
    };
    const auto append_lookup = [&](const LookupTable& table) {
      append(table.bytes);
      return table.positions;
    };
    superblock.inode_table = append(inodes_.finish());
    superblock.directory_table = append(directories_.finish());
    superblock.fragment_table = append_lookup(make_lookup_table(fragment_records(), at, compression_));
    superblock.id_table = append_lookup(make_lookup_table(ids_.records(), at, compression_));
    if (!xattrs_.is_empty()) superblock.xattr_table = append_lookup(xattrs_.finish(at));
    superblock.bytes_used = at;
    // Last: an image that was cut short before has no magic, and nobody takes it for one.
    Bytes head = encode(superblock);
    put(head, std::span<const std::byte>(format_.compressor_options));
    write_all_at(output, head, 0, k_file_name);
    const std::uint64_t length = (at + k_file_alignment - 1) / k_file_alignment * k_file_alignment;
    if (::ftruncate(output, static_cast<off_t>(length)) != 0) throw SysError("cannot set the length of an image");
    return length;
  }

  const Tree& tree_;
  const BlockFormat format_;
  MetadataCompression compression_;
  WalkOrder order_;
  std::vector<std::uint64_t> positions_;
  std::vector<std::uint32_t> xattr_numbers_;  // on disk, by the tree's
  std::unordered_map<InodeIndex, Listing> listings_;
  IdTable ids_;
  MetadataWriter inodes_;
  MetadataWriter directories_;
  XattrWriter xattrs_;
};

}  // namespace

std::uint64_t write_tables(const Tree& tree, int output, std::uint64_t tables_start, MetadataCompression compression) {
  return TableWriter(tree, {}, compression).write(output, tables_start);
}

std::uint64_t write_tables(const Tree& tree, int output, std::uint64_t tables_start, const BlockFormat& format) {
  return TableWriter(tree, format, MetadataCompression::none).write(output, tables_start);
}

}  // namespace mlctr::squashfs
