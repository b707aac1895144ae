#include "squashfs/blob_compressor.hpp"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "base/error.hpp"
#include "base/late_library.hpp"
#include "base/thread.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_piece_bytes = 4u << 20;
constexpr int k_zstd_level = 3;

struct LibIsalDeflate {
  LateLibrary library{"libisal.so.2", "libisal2"};
  LateFunction<decltype(::isal_deflate)> deflate{library, "isal_deflate"};
  LateFunction<decltype(::isal_deflate_init)> deflate_init{library, "isal_deflate_init"};
  LateFunction<decltype(::crc32_gzip_refl)> crc32{library, "crc32_gzip_refl"};
};

const LibIsalDeflate& deflater() {
  static const LibIsalDeflate loaded;
  return loaded;
}

// Deflate blocks that end on a byte (a full flush), so that those of the next piece can follow.
std::string deflate(std::string piece) {
  std::string packed(piece.size() + piece.size() / 8 + (64u << 10), '\0');
  const auto stream = std::make_unique<isal_zstream>();
  std::vector<std::uint8_t> room(ISAL_DEF_LVL3_DEFAULT);
  deflater().deflate_init(stream.get());
  stream->level = 3;
  stream->level_buf = room.data();
  stream->level_buf_size = static_cast<std::uint32_t>(room.size());
  stream->flush = FULL_FLUSH;
  stream->next_in = reinterpret_cast<std::uint8_t*>(piece.data());
  stream->avail_in = static_cast<std::uint32_t>(piece.size());
  stream->next_out = reinterpret_cast<std::uint8_t*>(packed.data());
  stream->avail_out = static_cast<std::uint32_t>(packed.size());
  if (deflater().deflate(stream.get()) != COMP_OK || stream->avail_in != 0 || stream->avail_out == 0) {
    throw Error("cannot compress a layer: ISA-L failed");
  }
  packed.resize(packed.size() - stream->avail_out);
  return packed;
}

std::string compress_frame(std::string piece) {
  std::string packed(ZSTD_compressBound(piece.size()), '\0');
  const std::size_t size = ZSTD_compress(packed.data(), packed.size(), piece.data(), piece.size(), k_zstd_level);
  if (ZSTD_isError(size) != 0) throw std::bad_alloc();  // the only thing that fails here
  packed.resize(size);
  return packed;
}

std::string little_endian(std::uint32_t number) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(number >> shift));
  return bytes;
}

constexpr std::string_view k_gzip_header("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);  // no name, no time, no system
constexpr std::string_view k_last_block("\x03\0", 2);                          // an empty one, marked as the last

}  // namespace

BlobCompressor::BlobCompressor(BlobCompression compression, unsigned threads, Sink sink)
    : compression_(compression), most_at_work_(std::max(1u, threads) + 1), sink_(std::move(sink)) {
  piece_.reserve(k_piece_bytes);
  if (compression_ == BlobCompression::gzip) put(std::string(k_gzip_header));
}

BlobCompressor::~BlobCompressor() = default;

void BlobCompressor::put(const std::string& bytes) {
  sink_(std::as_bytes(std::span(bytes)));
}

void BlobCompressor::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), k_piece_bytes - piece_.size());
    piece_.append(reinterpret_cast<const char*>(bytes.data()), size);
    bytes = bytes.subspan(size);
    if (piece_.size() == k_piece_bytes) send_off();
  }
}

void BlobCompressor::send_off() {
  if (compression_ == BlobCompression::gzip) {
    crc_ = deflater().crc32(crc_, reinterpret_cast<unsigned char*>(piece_.data()), piece_.size());
    size_ += piece_.size();
  }
  while (at_work_.size() >= most_at_work_) collect();
  std::string piece;
  piece.reserve(k_piece_bytes);
  piece.swap(piece_);
  const auto work = compression_ == BlobCompression::gzip ? deflate : compress_frame;
  const SignalsBlocked blocked;  // they belong to the program's own threads
  try {
    at_work_.push_back(std::async(std::launch::async, work, std::move(piece)));
  } catch (const std::system_error& error) {
    throw_no_thread("compress a layer", error);
  }
}

void BlobCompressor::collect() {
  std::future<std::string> first = std::move(at_work_.front());
  at_work_.pop_front();
  put(first.get());
}

void BlobCompressor::finish() {
  if (!piece_.empty()) send_off();
  while (!at_work_.empty()) collect();
  if (compression_ == BlobCompression::zstd) return;
  put(std::string(k_last_block) + little_endian(crc_) + little_endian(static_cast<std::uint32_t>(size_)));
}

}  // namespace mlctr::squashfs
