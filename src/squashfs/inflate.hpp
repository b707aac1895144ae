// Streaming decompression of a layer blob: gzip (RFC 1952, several members, zero padding after them), zstd (RFC 8878,
// several frames, skippable ones too) or a plain tar, told by the first bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace mlctr::squashfs {

class Inflater {
 public:
  /// As many first bytes as telling the format takes.
  static constexpr std::size_t k_magic_bytes = 4;

  struct Step {
    std::size_t consumed, produced;
  };

  virtual ~Inflater() = default;

  /// `first` holds the stream's first k_magic_bytes, or all of a shorter one; it is not consumed.
  static std::unique_ptr<Inflater> for_stream(std::span<const std::byte> first);

  /// Turns input into output until one of the two is used up. All that `input` gives is out when `output` did not fill.
  /// Throws LayerError.
  virtual Step run(std::span<const std::byte> input, std::span<std::byte> output) = 0;

  /// Throws LayerError where the input ended in the middle.
  virtual void finish() const = 0;
};

}  // namespace mlctr::squashfs
