// All that a layer file forgets of the tar it was made from, so that the same tar can be made again, byte by byte: for
// pushing a layer under the diff_id it came with. (The idea is that of github.com/vbatts/tar-split.)
//
//   record    = magic pieces locations trailer
//   magic     = "mlctr tar record 1\n"
//   pieces    = zstd{ framing | content }                in the tar's order
//   framing   = varint(bytes * 2) {byte}                 headers, padding, sparse files, the archive's end
//   content   = varint(bytes * 2 + 1)                    that many bytes, which lie where the next location says
//   locations = zstd{ location }                         of the layer file's blocks, as squashfs has them
//   location  = zigzag(start - end of the blocks before) zigzag(fragment + 1 - the one before)
//               zigzag(fragment offset) varint(number of blocks) { varint(size word of a block) }
//   trailer   = u64 offset of locations, u64 number of locations      little-endian
//   varint    = 7 bits a byte, the lowest first, the top bit set in all but the last
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "squashfs/content_stream.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/tar_framing.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// Writes a record while the tar passes by. For one thread.
class TarRecorder final : private TarFraming::Listener {
 public:
  /// Writes to `output`, which is empty. Throws SysError as all of its functions do.
  explicit TarRecorder(int output);
  ~TarRecorder() override;
  TarRecorder(const TarRecorder&) = delete;
  TarRecorder& operator=(const TarRecorder&) = delete;

  void feed(std::span<const std::byte> tar_bytes) { framing_.feed(tar_bytes); }

  /// Of the entry that TarReader gave last; call it for each one. An entry without content where there is no more.
  FramedMember next_member();
  /// The content that next_member() told of came to lie in this inode of the tree; none: it is not the tar's.
  void place_content(std::optional<InodeIndex> file);

  /// When the whole tree is known. False where no record could be made: what was written is of no use.
  [[nodiscard]] bool finish(const Tree& tree);

 private:
  struct Compression;

  void framing(std::span<const std::byte> bytes) override;
  void content(std::uint64_t size_bytes) override;

  TarFraming framing_{*this};
  const int output_;
  std::unique_ptr<Compression> compression_;
  std::uint64_t contents_announced_ = 0;
  std::vector<InodeIndex> contents_;
  bool is_of_use_ = true;
};

/// Streams the tar that `record` was made from, its contents out of `layer`. What comes is to be checked against the
/// diff_id. Throws Error where the record is broken, Cancelled, what `sink` throws.
void replay_tar(int record, const std::filesystem::path& name, const Reader& layer, const ByteSink& sink,
                const std::stop_token& stop);

}  // namespace mlctr::squashfs
