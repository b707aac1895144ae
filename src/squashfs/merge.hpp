// Layer files -> one image, or an image and its changes -> a new one, without recompressing: data and fragment blocks
// are copied raw, only tables are written anew (DESIGN decision 2).
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/progress.hpp"
#include "squashfs/convert_layer.hpp"
#include "squashfs/upper_layer.hpp"

namespace mlctr::squashfs {

/// A small file to put into the image, replacing whatever layers have at its path (/.mlctr/config.json …).
struct AddedFile {
  std::string path;  ///< "/.mlctr/config.json"; parents are made 0755 root, whatever layers have in their place removed
  std::string content;
};

/// Writes a whole image to `output` (empty, read-write), without syncing it. `layers` base first. Whiteouts, opaque
/// directories, shadowed files and links across layers are resolved; what no file needs is not copied (but for small
/// gaps). Deterministic: the same layer files give the same bytes. `progress` may be null. `beside`: the directory of
/// `output`, where it may have large layers as pieces (image_pieces.hpp).
void merge_layers(const std::vector<std::filesystem::path>& layers, const std::vector<AddedFile>& added, int output,
                  std::stop_token stop, ProgressItem* progress, const std::filesystem::path& beside = {});

/// merge_layers in steps: what the layers so far show can be looked at between two of them.
class LayerMerge {
 public:
  LayerMerge();
  LayerMerge(LayerMerge&&) noexcept;
  LayerMerge& operator=(LayerMerge&&) noexcept;
  ~LayerMerge();

  /// The next layer; the first may be any squashfs file as long as write() is not called. Throws Error.
  void apply(const std::filesystem::path& layer);
  std::size_t applied() const noexcept;
  /// Good until the next call; its contents have their places in the layers' own files, and it has no fragments.
  const Tree& tree() const noexcept;
  /// Once, last.
  void write(const std::vector<AddedFile>& added, int output, std::stop_token stop, ProgressItem* progress,
             const std::filesystem::path& beside = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes the image `base` with `files` and `directories` ("/work") in it besides: what is there at a file's path gives
/// way, while a directory on the way to it stays as it is, and a symlink there is followed. All of them are root's.
void merge_files(const std::filesystem::path& base, const std::vector<AddedFile>& files,
                 const std::vector<std::string>& directories, int output, std::stop_token stop, ProgressItem* progress);

struct PackOptions {
  unsigned threads = 1;
  int compression_level = 1;  ///< zstd's, where the image has zstd
  LayerLimits limits;
};

/// Writes the image that an overlay of `upper` over the image `base` shows, as merge_layers does. The base may be any
/// squashfs 4.0 image, a SIF file's too: the new one has its compressor and block size, and only what is in
/// `upper` gets compressed (pack_upper says what becomes of it).
void merge_upper(const std::filesystem::path& base, UpperDirectory upper, const std::vector<AddedFile>& added,
                 int output, const PackOptions& options, std::stop_token stop, ProgressItem* progress);

}  // namespace mlctr::squashfs
