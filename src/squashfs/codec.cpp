#include "squashfs/codec.hpp"

#include <fmt/format.h>
#include <sqfs/compressor.h>
#include <zstd.h>

#include "base/error.hpp"
#include "base/late_library.hpp"
#include "squashfs/lzo.hpp"

namespace mlctr::squashfs {
namespace {

constexpr int k_small_level = 15;
constexpr sqfs_u32 k_gzip_level = 6;  // zlib's own default; libsquashfs's 9 takes four times as long for 1% less

// For compressors of other tools' images only (base/late_library.hpp).
struct LibSquashfs {
  LateLibrary library{"libsquashfs.so.1", "libsquashfs1"};
  LateFunction<decltype(::sqfs_compressor_config_init)> compressor_config_init{library, "sqfs_compressor_config_init"};
  LateFunction<decltype(::sqfs_compressor_create)> compressor_create{library, "sqfs_compressor_create"};
};
const LibSquashfs& libsquashfs() {
  static const LibSquashfs loaded;
  return loaded;
}

struct ZstdFree {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
struct ZstdCompressorFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct SquashfsFree {
  void operator()(sqfs_compressor_t* compressor) const { sqfs_destroy(compressor); }
};

using LibraryCompressor = std::unique_ptr<sqfs_compressor_t, SquashfsFree>;

[[noreturn]] void throw_broken() {
  throw Error("a block of it is broken");
}

LibraryCompressor make_library_compressor(CompressorId id, std::size_t block_bytes, sqfs_u16 flags) {
  sqfs_compressor_config_t config;
  sqfs_compressor_t* compressor = nullptr;
  const bool is_known =
      // Another number is no value that an enumeration of C's may have.
      id >= CompressorId{SQFS_COMP_MIN} && id <= CompressorId{SQFS_COMP_MAX} &&
      libsquashfs().compressor_config_init(&config, static_cast<SQFS_COMPRESSOR>(id), block_bytes, flags) == 0;
  if (id == CompressorId::gzip) config.level = k_gzip_level;
  if (!is_known || libsquashfs().compressor_create(&config, &compressor) != 0) {
    throw Error(fmt::format("its compressor is unknown (number {})", static_cast<unsigned>(id)));
  }
  return LibraryCompressor(compressor);
}

}  // namespace

Bytes compress_zstd(std::span<const std::byte> payload) {
  Bytes out(ZSTD_compressBound(payload.size()));
  const std::size_t size = ZSTD_compress(out.data(), out.size(), payload.data(), payload.size(), k_small_level);
  if (ZSTD_isError(size)) throw Error(fmt::format("cannot compress a block: {}", ZSTD_getErrorName(size)));
  out.resize(size);
  return out;
}

struct Compressor::Context {
  std::unique_ptr<ZSTD_CCtx, ZstdCompressorFree> zstd{};
  int zstd_level = 0;
  LibraryCompressor other{};
};

Compressor::Compressor(CompressorId id, std::size_t block_bytes, int level) : context_(std::make_unique<Context>()) {
  switch (id) {
    case CompressorId::zstd:
      context_->zstd.reset(ZSTD_createCCtx());
      context_->zstd_level = level;
      if (!context_->zstd) throw Error("no memory for a zstd compressor");
      return;
    case CompressorId::gzip:
    case CompressorId::xz:
    case CompressorId::lz4:
      context_->other = make_library_compressor(id, block_bytes, 0);
      return;
    case CompressorId::lzma:
    case CompressorId::lzo:
      return;
  }
}

Compressor::Compressor(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

std::size_t Compressor::compress(std::span<const std::byte> block, std::span<std::byte> into) {
  // With room for the worst case all of them fail only for want of memory; stored raw, the block is as good.
  std::size_t size = 0;
  if (context_->zstd) {
    size = ZSTD_compressCCtx(context_->zstd.get(), into.data(), into.size(), block.data(), block.size(),
                             context_->zstd_level);
    if (ZSTD_isError(size)) return 0;
  } else if (context_->other) {
    const auto done = context_->other->do_block(
        context_->other.get(), reinterpret_cast<const sqfs_u8*>(block.data()), static_cast<sqfs_u32>(block.size()),
        reinterpret_cast<sqfs_u8*>(into.data()), static_cast<sqfs_u32>(into.size()));
    size = done < 0 ? 0 : static_cast<std::size_t>(done);
  }
  return size < block.size() ? size : 0;
}

struct Decompressor::Context {
  std::unique_ptr<ZSTD_DCtx, ZstdFree> zstd;
  LibraryCompressor other;
};

Decompressor::Decompressor(CompressorId id, std::size_t block_bytes) : id_(id), block_bytes_(block_bytes) {
  idle_.push_back(borrow());
}

Decompressor::~Decompressor() = default;

std::unique_ptr<Decompressor::Context> Decompressor::borrow() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto context = std::move(idle_.back());
      idle_.pop_back();
      return context;
    }
  }
  auto context = std::make_unique<Context>();
  if (id_ == CompressorId::lzo) return context;
  if (id_ == CompressorId::zstd) {
    context->zstd.reset(ZSTD_createDCtx());
    if (!context->zstd) throw Error("no memory for a zstd decompressor");
    return context;
  }
  context->other = make_library_compressor(id_, block_bytes_, SQFS_COMP_FLAG_UNCOMPRESS);
  return context;
}

std::size_t Decompressor::decompress(std::span<const std::byte> stored, std::span<std::byte> into) const {
  auto context = borrow();
  std::size_t size = 0;
  if (id_ == CompressorId::lzo) {
    size = decompress_lzo(stored, into);
  } else if (context->zstd) {
    size = ZSTD_decompressDCtx(context->zstd.get(), into.data(), into.size(), stored.data(), stored.size());
    if (ZSTD_isError(size)) throw_broken();
  } else {
    const auto done = context->other->do_block(
        context->other.get(), reinterpret_cast<const sqfs_u8*>(stored.data()), static_cast<sqfs_u32>(stored.size()),
        reinterpret_cast<sqfs_u8*>(into.data()), static_cast<sqfs_u32>(into.size()));
    if (done <= 0) throw_broken();
    size = static_cast<std::size_t>(done);
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
  return size;
}

}  // namespace mlctr::squashfs
