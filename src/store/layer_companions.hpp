// What lies beside a layer file for pushing it: how its tar was written, and which blobs it became.
//
//   layers/sha256/<diff_id>.sqsh
//   layers/sha256/<diff_id>.tar-record     squashfs/tar_record.hpp; absent where the tar can't be made again from it
//   layers/sha256/<diff_id>.blobs.json     {"gzip": {"digest", "size"}, "zstd": …}: of earlier pushes
//
// They come before their layer and go after it; alone they are of no use. Hold the layer's lock to write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "image/digest.hpp"
#include "store/store.hpp"

namespace mlctr {

std::filesystem::path tar_record_path(const std::filesystem::path& layer);

/// Where a record is written, then committed to tar_record_path(). Made after Store::new_layer_file(), which removes
/// what dead holders left.
TemporaryFile new_tar_record(Store& store, const Digest& diff_id);

struct LayerBlob {
  Digest digest;
  std::uint64_t size_bytes = 0;
};

/// The blob that the layer was once compressed to; `compression` is "gzip" or "zstd". Absent where that is not known.
std::optional<LayerBlob> find_layer_blob(const std::filesystem::path& layer, const std::string& compression);
/// Does nothing where the store is not ours to write: it only saves time.
void note_layer_blob(const std::filesystem::path& layer, const std::string& compression, const LayerBlob& blob);

/// Those that exist.
std::vector<std::filesystem::path> layer_companions(const std::filesystem::path& layer);
std::uint64_t companion_bytes(const std::filesystem::path& layer);
void remove_layer_companions(const std::filesystem::path& layer);
/// Of layers that are gone: a process was killed between the two.
void remove_lone_companions(Store& store);

}  // namespace mlctr
