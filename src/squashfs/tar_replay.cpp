#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/tar_record.hpp"
#include "squashfs/tar_record_format.hpp"

namespace mlctr::squashfs {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& name) {
  throw Error(fmt::format("{} is not a whole tar record", name.string()));
}

// One zstd frame of the record, uncompressed as it is read.
class Frame {
 public:
  Frame(int file, const std::filesystem::path& name, std::uint64_t begin, std::uint64_t end)
      : file_(file), name_(name), next_(begin), end_(end), stored_(ZSTD_DStreamInSize()), room_(ZSTD_DStreamOutSize()) {
    if (context_ == nullptr) throw std::bad_alloc();
  }

  // Up to `at_most` bytes, valid until the next call; empty at the end.
  std::span<const std::byte> read(std::uint64_t at_most) {
    while (read_ == filled_) {
      if (!fill()) return {};
    }
    const auto part = std::span(room_).subspan(read_, std::min<std::uint64_t>(filled_ - read_, at_most));
    read_ += part.size();
    return part;
  }

  // Absent at the end.
  std::optional<std::uint64_t> read_varint() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = read(1);
      if (byte.empty()) {
        if (shift != 0) refuse(name_);
        return std::nullopt;
      }
      const auto bits = std::to_integer<std::uint64_t>(byte[0]);
      number |= (bits & 0x7f) << shift;
      if ((bits & 0x80) == 0) return number;
    }
    refuse(name_);
  }

  std::uint64_t must_read_varint() {
    const auto number = read_varint();
    if (!number) refuse(name_);
    return *number;
  }

 private:
  // False at the end of the frame.
  bool fill() {
    if (input_.pos == input_.size && !is_flushing_) {
      const auto part = std::span(stored_).first(std::min<std::uint64_t>(stored_.size(), end_ - next_));
      if (part.empty()) return false;
      if (read_at(file_, part, next_, name_.string()) != part.size()) refuse(name_);
      next_ += part.size();
      input_ = {stored_.data(), part.size(), 0};
    }
    ZSTD_outBuffer made{room_.data(), room_.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(context_.get(), &made, &input_)) != 0) refuse(name_);
    is_flushing_ = made.pos == made.size;
    read_ = 0;
    filled_ = made.pos;
    return true;
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
  };

  int file_;
  const std::filesystem::path& name_;
  std::uint64_t next_, end_;
  std::vector<std::byte> stored_, room_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool is_flushing_ = false;
  std::size_t read_ = 0, filled_ = 0;
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
};

// The locations, one after the other.
class Locations {
 public:
  Locations(Frame frame, const Reader& layer, const std::filesystem::path& name)
      : frame_(std::move(frame)), layer_(layer), name_(name) {}

  FileContent next(std::uint64_t size_bytes) {
    FileContent content{.size_bytes = size_bytes};
    content.start = expected_start_ + from_zigzag(frame_.must_read_varint());
    fragment_ += from_zigzag(frame_.must_read_varint());
    content.fragment = fragment_ == 0 ? k_no_fragment : static_cast<std::uint32_t>(fragment_ - 1);
    content.fragment_offset = static_cast<std::uint32_t>(frame_.must_read_varint());
    const std::uint64_t count = frame_.must_read_varint();
    const std::uint64_t block_bytes = layer_.superblock().block_bytes;
    if (count > size_bytes / block_bytes + 1) refuse(name_);
    expected_start_ = content.start;
    for (std::uint64_t i = 0; i < count; ++i) {
      content.block_words.push_back(static_cast<std::uint32_t>(frame_.must_read_varint()));
      expected_start_ += content.block_words.back() & k_stored_size_mask;
    }
    if (expected_start_ > layer_.superblock().bytes_used) refuse(name_);
    return content;
  }

 private:
  Frame frame_;
  const Reader& layer_;
  const std::filesystem::path& name_;
  std::uint64_t expected_start_ = 0;
  std::uint64_t fragment_ = 0;
};

std::uint64_t offset_of_locations(int record, const std::filesystem::path& name, std::uint64_t size) {
  std::string magic(k_tar_record_magic.size(), '\0');
  if (size < magic.size() + k_tar_record_trailer_bytes) refuse(name);
  read_at(record, std::as_writable_bytes(std::span(magic)), 0, name.string());
  std::array<std::byte, k_tar_record_trailer_bytes> trailer;
  read_at(record, trailer, size - trailer.size(), name.string());
  const auto offset = get<std::uint64_t>(trailer);
  if (magic != k_tar_record_magic || offset < magic.size() || offset > size - trailer.size()) refuse(name);
  return offset;
}

}  // namespace

void replay_tar(int record, const std::filesystem::path& name, const Reader& layer, const ByteSink& sink,
                const std::stop_token& stop) {
  const std::uint64_t size = file_size(record, name.string());
  const std::uint64_t middle = offset_of_locations(record, name, size);
  Frame pieces(record, name, k_tar_record_magic.size(), middle);
  Locations locations(Frame(record, name, middle, size - k_tar_record_trailer_bytes), layer, name);
  ContentStream contents(layer);
  while (const auto head = pieces.read_varint()) {
    if (stop.stop_requested()) throw Cancelled();
    std::uint64_t bytes = *head >> 1;
    if ((*head & 1) != 0) {
      contents.read(locations.next(bytes), sink);
      continue;
    }
    while (bytes > 0) {
      const auto part = pieces.read(bytes);
      if (part.empty()) refuse(name);
      sink(part);
      bytes -= part.size();
    }
  }
}

}  // namespace mlctr::squashfs
