#include "squashfs/inflate.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "base/late_library.hpp"
#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

class PlainInflater final : public Inflater {
 public:
  Step run(std::span<const std::byte> input, std::span<std::byte> output) override {
    const std::size_t size = std::min(input.size(), output.size());
    if (size > 0) std::memcpy(output.data(), input.data(), size);
    return {size, size};
  }
  void finish() const override {}
};

std::string_view describe_isal_error(int code) {
  switch (code) {
    case ISAL_INVALID_WRAPPER:
      return "bad gzip header";
    case ISAL_UNSUPPORTED_METHOD:
      return "unsupported gzip method";
    case ISAL_INCORRECT_CHECKSUM:
      return "gzip checksum mismatch";
    case ISAL_INVALID_LOOKBACK:
      return "a reference before the start of the gzip stream";
    default:
      return "bad deflate data";
  }
}

struct LibIsal {
  LateLibrary library{"libisal.so.2", "libisal2"};
  LateFunction<decltype(::isal_inflate)> inflate{library, "isal_inflate"};
  LateFunction<decltype(::isal_inflate_init)> inflate_init{library, "isal_inflate_init"};
  LateFunction<decltype(::isal_inflate_reset)> inflate_reset{library, "isal_inflate_reset"};
};

const LibIsal& inflater() {
  static const LibIsal loaded;
  return loaded;
}

class GzipInflater final : public Inflater {
 public:
  GzipInflater() { inflater().inflate_init(&state_); }

  Step run(std::span<const std::byte> input, std::span<std::byte> output) override {
    // ISA-L only reads the input, though its field is not const; its sizes are 32 bits.
    constexpr std::size_t k_most = std::numeric_limits<std::uint32_t>::max();
    state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(input.data()));
    state_.avail_in = static_cast<std::uint32_t>(std::min(input.size(), k_most));
    state_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
    state_.avail_out = static_cast<std::uint32_t>(std::min(output.size(), k_most));
    const auto in_before = state_.avail_in;
    const auto out_before = state_.avail_out;
    while (begin_member() && inflate_some()) {
    }
    return {in_before - state_.avail_in, out_before - state_.avail_out};
  }

  void finish() const override {
    if (place_ == Place::in_member) throw LayerError("its gzip stream ends in the middle");
  }

 private:
  enum class Place { at_start, in_member, between, padding };

  // Whether there is a member to go on with, begun where need be.
  bool begin_member() {
    if (place_ == Place::in_member) return true;
    // tar's and tape's habit: zeros up to a record's end, which gzip(1) ignores too.
    while (place_ != Place::at_start && state_.avail_in > 0 && *state_.next_in == 0) {
      place_ = Place::padding;
      ++state_.next_in;
      --state_.avail_in;
    }
    if (state_.avail_in == 0) return false;
    if (place_ == Place::padding) throw LayerError("garbage after its gzip stream");
    inflater().inflate_reset(&state_);
    state_.crc_flag = ISAL_GZIP;  // parse the header, check the trailer
    place_ = Place::in_member;
    return true;
  }

  // Whether going on makes sense: input and room left, or a member just ended.
  bool inflate_some() {
    const auto in_before = state_.avail_in;
    const auto out_before = state_.avail_out;
    const int result = inflater().inflate(&state_);
    if (result < 0) throw LayerError(fmt::format("cannot inflate it: {}", describe_isal_error(result)));
    if (state_.block_state == ISAL_BLOCK_FINISH) {
      place_ = Place::between;
      return true;
    }
    const bool made_progress = state_.avail_in != in_before || state_.avail_out != out_before;
    return made_progress && state_.avail_out > 0 && state_.avail_in > 0;
  }

  inflate_state state_;
  Place place_ = Place::at_start;
};

class ZstdInflater final : public Inflater {
 public:
  ZstdInflater() : stream_(ZSTD_createDStream()) {
    if (stream_ == nullptr) throw std::bad_alloc();
  }
  ZstdInflater(const ZstdInflater&) = delete;
  ZstdInflater& operator=(const ZstdInflater&) = delete;
  ~ZstdInflater() override { ZSTD_freeDStream(stream_); }

  Step run(std::span<const std::byte> input, std::span<std::byte> output) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    // Without input only a frame already begun may have more to give.
    while (out.pos < out.size && (in.pos < in.size || !is_at_frame_end_)) {
      const std::size_t pos_before = in.pos + out.pos;
      const std::size_t hint = ZSTD_decompressStream(stream_, &out, &in);
      if (ZSTD_isError(hint) != 0)
        throw LayerError(fmt::format("cannot inflate it: zstd: {}", ZSTD_getErrorName(hint)));
      is_at_frame_end_ = hint == 0;
      if (in.pos + out.pos == pos_before) break;
    }
    return {in.pos, out.pos};
  }

  void finish() const override {
    if (!is_at_frame_end_) throw LayerError("its zstd stream ends in the middle");
  }

 private:
  ZSTD_DStream* stream_;
  bool is_at_frame_end_ = true;
};

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<int> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(), [](int m, std::byte b) { return std::byte(m) == b; });
}

// RFC 8878, 3.1.2: 0x184D2A50 to 0x184D2A5F, little-endian. A zstd:chunked layer may begin with one.
bool is_skippable_frame(std::span<const std::byte> first) {
  return first.size() >= 4 && (first[0] & std::byte(0xf0)) == std::byte(0x50) && first[1] == std::byte(0x2a) &&
         first[2] == std::byte(0x4d) && first[3] == std::byte(0x18);
}

}  // namespace

std::unique_ptr<Inflater> Inflater::for_stream(std::span<const std::byte> first) {
  if (starts_with(first, {0x1f, 0x8b})) return std::make_unique<GzipInflater>();
  if (starts_with(first, {0x28, 0xb5, 0x2f, 0xfd}) || is_skippable_frame(first))
    return std::make_unique<ZstdInflater>();
  return std::make_unique<PlainInflater>();
}

}  // namespace mlctr::squashfs
