// The upper directory of an overlay -> a layer: its tree, and its files' data blocks in the image to be. What overlayfs
// leaves there: https://docs.kernel.org/filesystems/overlayfs.html, with the userxattr option.
//
//   removed          a character device 0/0, or an empty file with the xattr user.overlay.whiteout
//   hides all below  a directory with user.overlay.opaque = "y"
//   anything else    as it is; other user.overlay.* are overlayfs's own notes
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <string>

#include "base/fd.hpp"
#include "squashfs/compressor_pool.hpp"
#include "squashfs/convert_layer.hpp"
#include "squashfs/pack_layer.hpp"
#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

/// What a layer does not take as it is, by paths in the upper directory ("etc/hosts").
struct UpperMask {
  std::map<std::string, std::string, std::less<>> contents;  ///< regular files, and what they have in the layer
  std::set<std::string, std::less<>> left_out;               ///< other than directories; the base's show again
  /// Made where there was nothing: left out while they are empty, and anything of the base there stays hidden.
  std::set<std::string, std::less<>> left_out_if_empty;
};

struct UpperDirectory {
  Fd directory;                ///< readable; used up
  std::filesystem::path name;  ///< for messages
  UpperMask mask{};
};

/// Writes data blocks to `output` from k_data_start on, in the pool's format. Every name is opened by descriptor and
/// never followed; FIFOs and devices are never opened. Deterministic: entries in the order of their names.
///
/// All files of the directory belong to one user, who is no owner to put into an image. Where `base` (the image under
/// the overlay) has an entry of the same kind at the same path, its owner stays; all else is 0:0. Kept: modes, times,
/// hard links, holes, user.* and security.capability. Throws LayerLimitError, SysError, Cancelled; Error where a
/// directory was renamed by reference (redirect_dir) or a file's data is not here (metacopy), and where a file shrinks
/// meanwhile.
PackedLayer pack_upper(UpperDirectory upper, const Tree& base, int output, CompressorPool& pool,
                       const LayerLimits& limits, std::stop_token stop);

}  // namespace mlctr::squashfs
