#include <zstd.h>

#include <new>

#include "base/file.hpp"
#include "squashfs/tar_record.hpp"
#include "squashfs/tar_record_format.hpp"

namespace mlctr::squashfs {
namespace {

// Headers are so alike that more effort saves little.
constexpr int k_level = 3;
constexpr std::size_t k_gathered_bytes = 64u << 10;

}  // namespace

struct TarRecorder::Compression {
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };

  explicit Compression(int file) : output(file), room(ZSTD_CStreamOutSize()) {
    if (context == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, k_level);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    write(std::as_bytes(std::span(k_tar_record_magic)));
  }

  void write(std::span<const std::byte> bytes) {
    write_all_at(output, bytes, offset, "a layer's tar record");
    offset += bytes.size();
  }

  void compress(std::string_view text, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{text.data(), text.size(), 0};
    std::size_t left = 0;
    do {
      ZSTD_outBuffer made{room.data(), room.size(), 0};
      left = ZSTD_compressStream2(context.get(), &made, &input, directive);
      if (ZSTD_isError(left) != 0) throw std::bad_alloc();  // the only thing that fails here
      write(std::span(room).first(made.pos));
    } while (directive == ZSTD_e_end ? left != 0 : input.pos < input.size);
  }

  // Many small pieces are gathered first: zstd's calls cost.
  void add(std::string_view text) {
    gathered += text;
    if (gathered.size() < k_gathered_bytes) return;
    compress(gathered, ZSTD_e_continue);
    gathered.clear();
  }

  void end_frame() {
    compress(gathered, ZSTD_e_end);
    gathered.clear();
  }

  int output;
  std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
  std::vector<std::byte> room;
  std::uint64_t offset = 0;
  std::string gathered;
  std::string literal;  // framing that is not a piece yet
};

TarRecorder::TarRecorder(int output) : output_(output), compression_(std::make_unique<Compression>(output)) {}
TarRecorder::~TarRecorder() = default;

void TarRecorder::framing(std::span<const std::byte> bytes) {
  std::string& literal = compression_->literal;
  literal.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (literal.size() < k_gathered_bytes) return;
  std::string head;
  put_varint(head, std::uint64_t{literal.size()} << 1);
  compression_->add(head);
  compression_->add(literal);
  literal.clear();
}

void TarRecorder::content(std::uint64_t size_bytes) {
  std::string& literal = compression_->literal;
  std::string piece;
  if (!literal.empty()) put_varint(piece, std::uint64_t{literal.size()} << 1);
  piece += literal;
  literal.clear();
  put_varint(piece, size_bytes << 1 | 1);
  compression_->add(piece);
  ++contents_announced_;
}

FramedMember TarRecorder::next_member() {
  if (!is_of_use_ || framing_.is_lost()) return {};
  const std::optional<FramedMember> member = framing_.next_member();
  if (!member) is_of_use_ = false;  // libarchive found more than we
  return member.value_or(FramedMember{});
}

void TarRecorder::place_content(std::optional<InodeIndex> file) {
  if (file) {
    contents_.push_back(*file);
  } else {
    is_of_use_ = false;
  }
}

bool TarRecorder::finish(const Tree& tree) {
  if (!is_of_use_ || framing_.is_lost() || framing_.next_member() || contents_.size() != contents_announced_) {
    return false;
  }
  Compression& compression = *compression_;
  if (!compression.literal.empty()) {
    std::string head;
    put_varint(head, std::uint64_t{compression.literal.size()} << 1);
    compression.add(head);
    compression.add(compression.literal);
  }
  compression.end_frame();
  const std::uint64_t locations = compression.offset;
  std::uint64_t expected_start = 0;
  std::uint64_t last_fragment = 0;
  for (const InodeIndex index : contents_) {
    const auto& content = std::get<FileContent>(tree.inodes[index].kind);
    std::string location;
    put_varint(location, to_zigzag(content.start - expected_start));
    const std::uint64_t fragment = content.fragment == k_no_fragment ? 0 : std::uint64_t{content.fragment} + 1;
    put_varint(location, to_zigzag(fragment - last_fragment));
    put_varint(location, content.fragment_offset);
    put_varint(location, content.block_words.size());
    expected_start = content.start;
    last_fragment = fragment;
    for (const std::uint32_t word : content.block_words) {
      put_varint(location, word);
      expected_start += word & k_stored_size_mask;
    }
    compression.add(location);
  }
  compression.end_frame();
  Bytes trailer;
  put(trailer, locations);
  put(trailer, std::uint64_t{contents_.size()});
  compression.write(trailer);
  return true;
}

}  // namespace mlctr::squashfs
