#include "squashfs/content_stream.hpp"

#include <algorithm>

namespace mlctr::squashfs {
namespace {

// One would do but for files whose content an earlier one has already.
constexpr std::size_t k_kept_fragments = 8;

}  // namespace

std::span<const std::byte> ContentStream::fragment(std::uint32_t number) {
  const auto known = std::ranges::find(fragments_, number, &Fragment::number);
  if (known != fragments_.end()) {
    fragments_.splice(fragments_.begin(), fragments_, known);
  } else {
    const FragmentBlock where = reader_.fragment(number);
    if (fragments_.size() < k_kept_fragments) {
      fragments_.push_front({number, 0, Bytes(reader_.superblock().block_bytes)});
    } else {
      fragments_.splice(fragments_.begin(), fragments_, std::prev(fragments_.end()));
    }
    Fragment& first = fragments_.front();
    first.number = number;
    first.size = reader_.read_fragment(where, first.bytes);
  }
  const Fragment& first = fragments_.front();
  return std::span(first.bytes).first(first.size);
}

void ContentStream::read(const FileContent& file, const ByteSink& take) {
  const std::uint64_t block_bytes = reader_.superblock().block_bytes;
  block_.resize(block_bytes);
  std::uint64_t left = file.size_bytes;
  std::uint64_t start = file.start;
  for (const std::uint32_t word : file.block_words) {
    const auto part = std::span(block_).first(std::min(left, block_bytes));
    if (part.empty() || (word & k_stored_size_mask) > block_bytes) reader_.image().refuse("a file's blocks are wrong");
    reader_.read_block(start, word, part);
    take(part);
    start += word & k_stored_size_mask;
    left -= part.size();
  }
  if (left == 0) return;
  if (file.fragment == k_no_fragment || left >= block_bytes) reader_.image().refuse("a file's tail is missing");
  const auto tails = fragment(file.fragment);
  if (file.fragment_offset > tails.size() || left > tails.size() - file.fragment_offset) {
    reader_.image().refuse("a file's tail lies outside of its fragment");
  }
  take(tails.subspan(file.fragment_offset, left));
}

}  // namespace mlctr::squashfs
