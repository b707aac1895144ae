// What a stage shows so far, read once for all its steps: a large image's tree takes a while to read.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "build/rootfs_files.hpp"
#include "squashfs/merge.hpp"
#include "store/store.hpp"

namespace mlctr::build {

class StageTree {
 public:
  bool is_shown() const noexcept { return merge_.applied() != 0; }

  /// `files` are those of the last call, and more layers. What it returns is good until the next call. Throws Error.
  const squashfs::Tree& show(const StageFiles& files, const Store& store);

  /// All that `files` are as one image, as squashfs::merge_layers writes it. Nothing can be shown after that.
  void write(const StageFiles& files, const Store& store, const std::vector<squashfs::AddedFile>& added, int output,
             const std::filesystem::path& beside, const std::stop_token& stop);

 private:
  squashfs::LayerMerge merge_;
};

}  // namespace mlctr::build
