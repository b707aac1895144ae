// The upper directory of a container -> a layer file of its own, to go on top of the layers of its image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>

#include "image/digest.hpp"
#include "squashfs/merge.hpp"
#include "squashfs/upper_layer.hpp"

namespace mlctr::squashfs {

struct ChangesLayer {
  Digest diff_id;               ///< of its canonical tar (layer_tar.hpp)
  std::uint64_t tar_bytes = 0;
  std::uint32_t newest_mtime = 0;  ///< of a file in it; 0 where nothing changed
};

/// Writes to `output` (empty, read-write), without syncing it. Owners as pack_upper has them. What no layer's tar can
/// have (sockets, /.mlctr) is left out. Deterministic.
ChangesLayer write_changes_layer(const std::filesystem::path& base, UpperDirectory upper, int output,
                                 const PackOptions& options, const std::stop_token& stop);

}  // namespace mlctr::squashfs
