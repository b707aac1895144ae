// A layer's tar -> the blob that a registry keeps, compressed by several threads. The same tar gives the same blob,
// whatever their number: it is cut into pieces of one size, which know nothing of each other.
//   gzip   one member (RFC 1952): every reader of images has it
//   zstd   a frame a piece (RFC 8878): smaller and faster, for readers of 2021 and later
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <span>
#include <string>

namespace mlctr::squashfs {

enum class BlobCompression { gzip, zstd };

class BlobCompressor {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  /// `sink` gets the blob's bytes in order, from the thread that calls write() and finish(); what it throws is passed on.
  BlobCompressor(BlobCompression compression, unsigned threads, Sink sink);
  ~BlobCompressor();
  BlobCompressor(const BlobCompressor&) = delete;
  BlobCompressor& operator=(const BlobCompressor&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Call once.
  void finish();

 private:
  void send_off();
  void collect();
  void put(const std::string& bytes);

  const BlobCompression compression_;
  const std::size_t most_at_work_;
  const Sink sink_;
  std::string piece_;
  std::deque<std::future<std::string>> at_work_;
  unsigned crc_ = 0;             // of gzip's whole content
  unsigned long long size_ = 0;  // of it
};

}  // namespace mlctr::squashfs
