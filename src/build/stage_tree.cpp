#include "build/stage_tree.hpp"

namespace mlctr::build {

const squashfs::Tree& StageTree::show(const StageFiles& files, const Store& store) {
  if (merge_.applied() == 0) merge_.apply(files.image);
  while (merge_.applied() <= files.layers.size()) {
    merge_.apply(store.layer_path(files.layers[merge_.applied() - 1].diff_id));
  }
  return merge_.tree();
}

void StageTree::write(const StageFiles& files, const Store& store, const std::vector<squashfs::AddedFile>& added,
                      int output, const std::filesystem::path& beside, const std::stop_token& stop) {
  show(files, store);
  merge_.write(added, output, stop, nullptr, beside);
}

}  // namespace mlctr::build
