#include "squashfs/changes_layer.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/fd.hpp"
#include "squashfs/layer_tar.hpp"
#include "squashfs/pack_layer.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/sif.hpp"
#include "squashfs/tables.hpp"

namespace mlctr::squashfs {
namespace {

void leave_out_sockets(Tree& tree) {
  for (Inode& inode : tree.inodes) {
    auto* directory = std::get_if<Directory>(&inode.kind);
    if (directory == nullptr) continue;
    std::erase_if(directory->children,
                  [&](const auto& child) { return std::holds_alternative<Socket>(tree.inodes[child.second].kind); });
  }
}

// The root's time changes with whatever is made in it, and tells nothing else.
std::uint32_t newest_mtime(const Tree& tree) {
  std::uint32_t newest = 0;
  for (std::size_t i = 1; i < tree.inodes.size(); ++i) newest = std::max(newest, tree.inodes[i].mtime);
  return newest;
}

Tree tree_of(const std::filesystem::path& image) {
  const Fd file = open_file(image, O_RDONLY);
  return read_tree(file.get(), image, find_image_offset(file.get(), image));
}

}  // namespace

ChangesLayer write_changes_layer(const std::filesystem::path& base, UpperDirectory upper, int output,
                                 const PackOptions& options, const std::stop_token& stop) {
  CompressorPool pool(options.threads, options.compression_level);
  PackedLayer changes = pack_upper(std::move(upper), tree_of(base), output, pool, options.limits, stop);
  leave_out_sockets(changes.tree);
  changes.tree.directory(k_root).children.erase(".mlctr");
  write_layer_tables(changes, output);
  const Reader reader(output, "the changes");
  const LayerTarSummary tar = summarize_layer_tar(reader, stop);
  return {tar.diff_id, tar.bytes, newest_mtime(changes.tree)};
}

}  // namespace mlctr::squashfs
