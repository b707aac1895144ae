#include <algorithm>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_header_bytes = 12;
constexpr std::uint64_t k_entry_bytes = 8;  // before the name

bool is_usable(std::string_view name) {
  return name != "." && name != ".." && name.find('/') == name.npos && name.find('\0') == name.npos;
}

}  // namespace

DirectoryCursor::DirectoryCursor(const Reader& reader, const StoredDirectory& directory)
    : reader_(reader), size_bytes_(directory.size_bytes), remaining_bytes_(size_bytes_) {
  // An empty listing may point anywhere: nothing of it is ever read.
  if (remaining_bytes_ > 0) cursor_.emplace(reader.directory_table(directory.listing));
}

DirectoryCursor::DirectoryCursor(const Reader& reader, const StoredDirectory& directory, std::uint32_t listing_offset,
                                 std::uint64_t block)
    : reader_(reader), size_bytes_(directory.size_bytes), remaining_bytes_(size_bytes_) {
  if (listing_offset >= remaining_bytes_) reader.image().refuse("a directory's index points behind its entries");
  remaining_bytes_ -= listing_offset;
  const auto offset = (std::uint64_t{directory.listing.offset} + listing_offset) % k_metadata_bytes;
  cursor_.emplace(reader.directory_table({block, static_cast<std::uint16_t>(offset)}));
}

void DirectoryCursor::read_header() {
  if (remaining_bytes_ < k_header_bytes) reader_.image().refuse("a directory ends too early");
  remaining_bytes_ -= k_header_bytes;
  run_entries_ = cursor_->read<std::uint32_t>();
  run_block_ = cursor_->read<std::uint32_t>();
  run_number_ = cursor_->read<std::uint32_t>();
  if (run_entries_ >= k_entries_a_header) reader_.image().refuse("a directory has too many entries in a row");
  ++run_entries_;
}

std::optional<StoredEntry> DirectoryCursor::next() {
  if (run_entries_ == 0) {
    if (remaining_bytes_ == 0) return std::nullopt;
    read_header();
  }
  --run_entries_;
  StoredEntry entry;
  entry.inode = {run_block_, cursor_->read<std::uint16_t>()};
  const auto delta = static_cast<std::int16_t>(cursor_->read<std::uint16_t>());
  entry.inode_number = run_number_ + static_cast<std::uint32_t>(delta);
  const auto type = cursor_->read<std::uint16_t>();
  const std::size_t name_bytes = cursor_->read<std::uint16_t>() + std::size_t{1};
  if (type == 0 || type > k_extended || name_bytes > k_max_name_bytes ||
      k_entry_bytes + name_bytes > remaining_bytes_) {
    reader_.image().refuse("an entry of a directory is broken");
  }
  remaining_bytes_ -= k_entry_bytes + name_bytes;
  entry.type = InodeType{type};
  entry.name = cursor_->read_text(name_bytes);
  if (!is_usable(entry.name)) reader_.image().refuse("an entry of a directory has an impossible name");
  // Lookups stop at the first greater name, so that out of order means out of reach.
  if (entry.name <= previous_) reader_.image().refuse("the entries of a directory are not in order");
  previous_ = entry.name;
  return entry;
}

}  // namespace mlctr::squashfs
