#include "build/rootfs_files.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "build/step_key.hpp"

namespace mlctr::build {

Digest identity_of(const StageFiles& files) {
  StepKey key("files 1");
  key.add(files.identity);
  for (const BuiltLayer& layer : files.layers) key.add(layer.diff_id.to_string());
  return key.finish();
}

std::vector<std::filesystem::path> stack_of(const StageFiles& files, const Store& store,
                                            const std::filesystem::path& place, const std::stop_token& stop) {
  const std::size_t merged = files.layers.size() / k_max_stacked_layers * k_max_stacked_layers;
  std::vector<std::filesystem::path> stack{files.image};
  for (const BuiltLayer& layer : files.layers) stack.push_back(store.layer_path(layer.diff_id));
  if (merged == 0) return stack;

  const auto end = stack.begin() + static_cast<std::ptrdiff_t>(1 + merged);
  StageFiles first = files;
  first.layers.erase(first.layers.begin() + static_cast<std::ptrdiff_t>(merged), first.layers.end());
  const std::filesystem::path flat = place / fmt::format("flat-{}.sqsh", identity_of(first).hex());
  if (!std::filesystem::exists(flat)) {
    TemporaryFile file(place / fmt::format("flat-{}", random_suffix()));
    squashfs::merge_layers({stack.begin(), end}, {}, file.fd(), stop, nullptr);
    rename_file(file.path(), flat);
  }
  std::vector<std::filesystem::path> rest{flat};
  rest.insert(rest.end(), end, stack.end());
  return rest;
}

}  // namespace mlctr::build
