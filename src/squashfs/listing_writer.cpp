#include "squashfs/listing_writer.hpp"

#include <limits>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_run_header_bytes = 12;
constexpr std::size_t k_max_index_entries = 0xffff;

}  // namespace

ListingWriter::ListingWriter(MetadataWriter& directories, ListingIndex index)
    : directories_(directories), wants_index_(index) {
  listing_.start = directories.position();
}

bool ListingWriter::fits_run(const ListedInode& inode) const {
  const std::int64_t delta = std::int64_t{inode.number} - base_.number;
  return run_entries_ > 0 && run_entries_ < k_entries_a_header && inode.position.block == base_.position.block &&
         delta >= std::numeric_limits<std::int16_t>::min() && delta <= std::numeric_limits<std::int16_t>::max();
}

// An index entry must point to a header, so that a block begins to be indexed where the first run begins in it.
bool ListingWriter::is_in_new_block() const {
  const std::uint64_t here = (listing_.start.offset + size_bytes_ + run_.size()) / k_metadata_bytes;
  return wants_index_ == ListingIndex::one_a_block && here > indexed_block_ &&
         listing_.index.size() < k_max_index_entries;
}

void ListingWriter::add(std::string_view name, const ListedInode& inode) {
  if (is_in_new_block() || !fits_run(inode)) begin_run(name, inode);
  put(run_, inode.position.offset);
  put(run_, static_cast<std::uint16_t>(inode.number - base_.number));
  put(run_, static_cast<std::uint16_t>(inode.type));
  put(run_, static_cast<std::uint16_t>(name.size() - 1));
  put(run_, std::as_bytes(std::span(name)));
  ++run_entries_;
}

void ListingWriter::begin_run(std::string_view name, const ListedInode& inode) {
  end_run();
  if (is_in_new_block()) {
    indexed_block_ = (listing_.start.offset + size_bytes_) / k_metadata_bytes;
    listing_.index.push_back({static_cast<std::uint32_t>(size_bytes_),
                              static_cast<std::uint32_t>(directories_.position().block), std::string(name)});
  }
  base_ = inode;
  run_.resize(k_run_header_bytes);
}

void ListingWriter::end_run() {
  if (run_entries_ == 0) return;
  Bytes header;
  put(header, run_entries_ - 1);
  put(header, static_cast<std::uint32_t>(base_.position.block));
  put(header, base_.number);
  directories_.append(header);
  directories_.append(std::span(run_).subspan(k_run_header_bytes));
  size_bytes_ += run_.size();
  run_entries_ = 0;
  run_.clear();
}

Listing ListingWriter::finish() {
  end_run();
  if (size_bytes_ > std::numeric_limits<std::uint32_t>::max() - k_listing_overhead ||
      directories_.position().block > std::numeric_limits<std::uint32_t>::max()) {
    throw Error("a directory has more entries than squashfs can hold (4 GiB of names)");
  }
  listing_.size_bytes = static_cast<std::uint32_t>(size_bytes_);
  // Readers that seek before they look at the size need a place that exists, also when nothing follows in the table.
  if (size_bytes_ == 0) listing_.start = {};
  return std::move(listing_);
}

}  // namespace mlctr::squashfs
