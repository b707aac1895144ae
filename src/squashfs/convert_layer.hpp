// One layer's blob -> one squashfs file, in a single pass with bounded memory (DESIGN decision 1):
//   blob -> SHA-256 (blob digest) -> inflate -> SHA-256 (diff_id) -> tar entries -> Tree + data blocks -> tables
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>

#include "base/byte_source.hpp"
#include "base/progress.hpp"
#include "image/digest.hpp"
#include "squashfs/compressor_pool.hpp"

namespace mlctr::squashfs {

/// What a hostile layer may at most make of itself. Exceeding one is an Error whose hint names its setting.
struct LayerLimits {
  std::uint64_t max_uncompressed_bytes = 256ull << 30;  ///< pull.max_layer_bytes
  std::uint64_t max_entries = 20'000'000;               ///< pull.max_layer_entries
};

struct LayerInput {
  ByteSource& blob;  ///< gzip (many members too), zstd or a plain tar: told by its first bytes
  Digest blob_digest;
  std::uint64_t blob_bytes;  ///< the descriptor's size
  Digest diff_id;
  std::optional<int> record = std::nullopt;  ///< a file, empty and read-write, for the tar's record (tar_record.hpp)
};

/// Whether the record asked for was written: of some odd tars there can be none, and the file is of no use.
enum class RecordOutcome { written, none };

/// Writes a whole layer file to `output` (empty, read-write), without syncing it. Throws Error that names the blob and
/// both digests where the diff_id differs, and BlobError (layer_error.hpp) where blob digest or size do; Cancelled when `stop` is requested.
/// `progress` may be null.
RecordOutcome convert_layer(const LayerInput& input, int output, CompressorPool& pool, const LayerLimits& limits,
                            std::stop_token stop, ProgressItem* progress);

}  // namespace mlctr::squashfs
