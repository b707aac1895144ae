// A layer file -> the tar that says the same (OCI image-spec, layer.md): the one form in which a layer that was never a
// tar has a diff_id. The same tree gives the same bytes, and packing that tar gives the same layer file again.
//
//   order      a directory before what is in it, names bytewise; of hard links the first in that order is the file
//   removed    an empty file ".wh.NAME", all its fields 0; a directory that hides all below has a ".wh..wh..opq" first
//   left out   sockets (no tar has them), directories that the layer only implies, /.mlctr (every image gets its own),
//              attributes that no layer may bring (layer_tree.cpp)
//   end        two blocks of zeros
#pragma once

#include <cstdint>
#include <stop_token>

#include "image/digest.hpp"
#include "squashfs/content_stream.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::squashfs {

/// Streams the tar. Memory: what hard links take, and the fragments of ContentStream. A whole image will do too: it is
/// a layer that hides nothing. Throws Error where the image is broken, or has what no layer can say (a file named
/// ".wh.x"); Cancelled; what `sink` throws.
void write_layer_tar(const Reader& layer, const ByteSink& sink, const std::stop_token& stop);

struct LayerTarSummary {
  Digest diff_id;  ///< SHA-256
  std::uint64_t bytes = 0;
};

/// Of what write_layer_tar would give.
LayerTarSummary summarize_layer_tar(const Reader& layer, const std::stop_token& stop);

}  // namespace mlctr::squashfs
