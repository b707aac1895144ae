// A layer's tar stream -> its tree, and its files' data blocks in the layer file.
#pragma once

#include <cstdint>
#include <stop_token>

#include "squashfs/compressor_pool.hpp"
#include "squashfs/convert_layer.hpp"
#include "squashfs/layer_error.hpp"
#include "squashfs/tar_reader.hpp"
#include "squashfs/tar_record.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

struct PackedLayer {
  Tree tree;
  std::uint64_t data_end;  ///< offset after the last block
};

/// The error for a layer larger than `limits` let it be, with the setting that says so.
LayerLimitError over_byte_limit(const LayerLimits& limits);

/// Reads `source` up to the archive's end and writes data blocks to `output` from k_data_start on. Throws LayerError
/// for what is wrong with the layer, LayerLimitError, SysError, Cancelled. `recorder`, where there is one, is told where
/// contents came to lie; it has seen the source's bytes before they are read here, and is for the caller to finish.
PackedLayer pack_layer(TarReader::Source source, int output, CompressorPool& pool, const LayerLimits& limits,
                       std::stop_token stop, TarRecorder* recorder = nullptr);

/// Makes `output`, which has the layer's data blocks, a whole layer file.
void write_layer_tables(const PackedLayer& layer, int output);

}  // namespace mlctr::squashfs
