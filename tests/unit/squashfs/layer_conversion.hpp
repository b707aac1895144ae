// Converts layers held in memory, with every way a source of bytes may behave.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/process.hpp"
#include "squashfs/convert_layer.hpp"

namespace mlctr::test {

/// Gives `blob` in pieces of at most `piece_bytes`; `before_read` may throw or request a stop.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view blob, std::size_t piece_bytes = 1u << 20,
                        std::function<void(std::size_t)> before_read = {})
      : blob_(blob), piece_bytes_(piece_bytes), before_read_(std::move(before_read)) {}

  std::size_t read(std::span<std::byte> into) override {
    if (before_read_) before_read_(at_);
    const std::size_t size = std::min({into.size(), piece_bytes_, blob_.size() - at_});
    std::memcpy(into.data(), blob_.data() + at_, size);
    at_ += size;
    return size;
  }

 private:
  std::string_view blob_;
  std::size_t piece_bytes_;
  std::function<void(std::size_t)> before_read_;
  std::size_t at_ = 0;
};

inline Fd memory_file() {
  const int fd = ::memfd_create("layer", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  return Fd(fd);
}

inline std::string content_of(int fd) {
  std::string content(file_size(fd, "a test's file"), '\0');
  REQUIRE(read_at(fd, std::as_writable_bytes(std::span(content)), 0, "a test's file") == content.size());
  return content;
}

/// What a conversion is told; by default the truth.
struct Conversion {
  std::string blob{};
  std::string tar{};  ///< what the blob inflates to
  std::size_t piece_bytes = 1u << 20;
  unsigned threads = 2;
  squashfs::LayerLimits limits{};
  std::stop_token stop{};
  std::function<void(std::size_t)> before_read{};
  Digest blob_digest = Digest::of(blob);
  Digest diff_id = Digest::of(tar);
  std::uint64_t blob_bytes = blob.size();
  ProgressItem* progress = nullptr;

  void run(int output) const {
    MemorySource source(blob, piece_bytes, before_read);
    squashfs::CompressorPool pool(threads, 1);
    squashfs::convert_layer({source, blob_digest, blob_bytes, diff_id}, output, pool, limits, stop, progress);
  }
  /// The layer file's bytes.
  std::string run() const {
    const Fd output = memory_file();
    run(output.get());
    return content_of(output.get());
  }
};

/// The standard output of a program that must succeed.
inline std::string output_of(std::vector<std::string> arguments, std::string input = {}) {
  const auto result =
      run_process({.arguments = arguments, .standard_input = std::move(input), .max_output_bytes = 256u << 20});
  REQUIRE_MESSAGE(result.exit_code == 0, arguments[0], ": ", result.standard_error);
  return result.standard_output;
}

inline std::string gzip(std::string text) {
  return output_of({"gzip", "-1c"}, std::move(text));
}

/// Bytes that compress somewhat, and differ for each seed.
inline std::string some_bytes(std::size_t size, unsigned seed) {
  std::string bytes;
  bytes.reserve(size + 16);
  while (bytes.size() < size) {
    seed = seed * 1664525u + 1013904223u;
    bytes.append(1 + (seed >> 28), static_cast<char>(seed >> 16));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace mlctr::test
