#include "squashfs/block_packer.hpp"

#include <sys/random.h>
#define XXH_INLINE_ALL  // no library: it is all in the header
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

// Drawn anew by each process, so that nobody can prepare two contents with one hash. Which contents are equal does not
// depend on it, so neither does the output.
struct HashSecret {
  std::array<unsigned char, XXH3_SECRET_SIZE_MIN + 56> bytes{};
  HashSecret() {
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      throw SysError("cannot draw random bytes");
    }
  }
};

const HashSecret& hash_secret() {
  static const HashSecret secret;
  return secret;
}

bool is_all_zero(std::span<const std::byte> bytes) {
  // Comparing a range with itself shifted by one needs no block of zeros to compare with.
  return bytes[0] == std::byte(0) && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

// A large file's content block by block. Each part is preceded by what it is, so that no content can pass for another
// one's holes; a block of zeros counts the same whether the tar spelled it out or not.
struct BlockPacker::ContentHash {
  XXH3_state_t* state = XXH3_createState();
  std::uint64_t zero_blocks = 0;

  ContentHash() {
    if (state == nullptr) throw std::bad_alloc();
  }
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;
  ~ContentHash() { XXH3_freeState(state); }

  void begin() {
    XXH3_128bits_reset_withSecret(state, hash_secret().bytes.data(), hash_secret().bytes.size());
    zero_blocks = 0;
  }
  void add_block(std::span<const std::byte> block) {
    const std::uint64_t header[] = {zero_blocks, block.size()};
    XXH3_128bits_update(state, header, sizeof header);
    XXH3_128bits_update(state, block.data(), block.size());
    zero_blocks = 0;
  }
  ContentKey finish(std::uint64_t size) {
    XXH3_128bits_update(state, &zero_blocks, sizeof zero_blocks);
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    return {size, hash.low64, hash.high64};
  }
};

BlockPacker::BlockPacker(BlockWriter& writer)
    : writer_(writer), block_bytes_(writer.block_bytes()), hash_(std::make_unique<ContentHash>()) {}
BlockPacker::~BlockPacker() = default;

void BlockPacker::begin_file(std::uint64_t size_bytes) {
  size_ = size_bytes;
  hole_bytes_ = 0;
  block_filled_ = 0;
  if (size_ == 0) return;
  if (!is_small()) {
    file_ = writer_.begin_file();
    hash_->begin();
    return;
  }
  if (fragment_ == nullptr) fragment_ = writer_.acquire();
  is_in_fragment_ = size_ <= block_bytes_ - fragment_filled_;
  // A file may yet prove to be a copy, which must not end the open fragment early: it is collected beside it.
  if (!is_in_fragment_ && block_ == nullptr) block_ = writer_.acquire();
}

std::span<std::byte> BlockPacker::room() {
  if (is_small() && is_in_fragment_) {
    return std::span(fragment_.get(), block_bytes_).subspan(fragment_filled_ + block_filled_);
  }
  if (block_ == nullptr) block_ = writer_.acquire();
  return std::span(block_.get(), block_bytes_).subspan(block_filled_);
}

void BlockPacker::advance(std::size_t bytes) {
  block_filled_ += bytes;
  if (block_filled_ == block_bytes_) flush_block();
}

void BlockPacker::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> free = room();
    const std::size_t part = std::min(bytes.size(), free.size());
    std::memcpy(free.data(), bytes.data(), part);
    bytes = bytes.subspan(part);
    advance(part);
  }
}

void BlockPacker::append_zeros(std::uint64_t count) {
  while (count > 0) {
    // Whole blocks are counted, never made: a hole may be as large as the limits let it.
    if (!is_small() && block_filled_ == 0 && count >= block_bytes_) {
      add_zero_blocks(count / block_bytes_);
      hole_bytes_ += count / block_bytes_ * block_bytes_;
      count %= block_bytes_;
      continue;
    }
    const std::span<std::byte> free = room();
    const std::size_t part = std::min<std::uint64_t>(count, free.size());
    std::memset(free.data(), 0, part);
    count -= part;
    advance(part);
  }
}

void BlockPacker::add_zero_blocks(std::uint64_t count) {
  hash_->zero_blocks += count;
  writer_.add_holes(count);
}

void BlockPacker::flush_block() {
  const std::span<const std::byte> block(block_.get(), block_filled_);
  if (is_all_zero(block)) {
    add_zero_blocks(1);
    hole_bytes_ += block.size();
  } else {
    hash_->add_block(block);
    writer_.add_block(std::move(block_), block_filled_);
  }
  block_filled_ = 0;
}

PackedFile BlockPacker::end_file() {
  if (size_ == 0) return {};
  return is_small() ? end_small_file() : end_large_file();
}

PackedFile BlockPacker::end_small_file() {
  const std::byte* bytes = is_in_fragment_ ? fragment_.get() + fragment_filled_ : block_.get();
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes, size_, hash_secret().bytes.data(), hash_secret().bytes.size());
  const auto [known, is_new] = small_files_.try_emplace({size_, hash.low64, hash.high64});
  if (is_new) {
    if (!is_in_fragment_) {
      flush_fragment();
      fragment_ = std::move(block_);
    }
    known->second = {fragments_flushed_, static_cast<std::uint32_t>(fragment_filled_)};
    fragment_filled_ += size_;
  }
  block_filled_ = 0;
  return {
      .content = {.size_bytes = size_, .fragment = known->second.fragment, .fragment_offset = known->second.offset}};
}

PackedFile BlockPacker::end_large_file() {
  if (block_filled_ > 0) flush_block();
  const auto [known, is_new] = large_files_.try_emplace(hash_->finish(size_), file_);
  writer_.end_file(is_new ? std::nullopt : std::optional(known->second));
  return {.content = {.size_bytes = size_, .hole_bytes = hole_bytes_}, .blocks = file_};
}

void BlockPacker::flush_fragment() {
  writer_.add_fragment(std::move(fragment_), fragment_filled_);
  fragment_filled_ = 0;
  ++fragments_flushed_;
}

void BlockPacker::finish() {
  if (fragment_filled_ > 0) flush_fragment();
}

}  // namespace mlctr::squashfs
