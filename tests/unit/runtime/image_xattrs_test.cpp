#include "runtime/image_xattrs.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <optional>

#include "base/fd.hpp"
#include "runtime/node_id.hpp"
#include "squashfs/tables.hpp"
#include "temporary_directory.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;

struct OpenImage {
  explicit OpenImage(const Tree& tree) : file(open_file(directory / "image.sqsh", O_RDWR | O_CREAT)) {
    write_tables(tree, file.get(), k_data_start);
    reader.emplace(file.get(), "image.sqsh");
  }

  test::TemporaryDirectory directory;
  Fd file;
  std::optional<Reader> reader;
};

Tree tree_with(std::initializer_list<XattrSet> sets) {
  Tree tree;
  for (const XattrSet& set : sets) {
    const auto xattrs = tree.xattr_index(set);
    const auto file = tree.add({.kind = Fifo{}, .xattrs = xattrs});
    tree.directory(k_root).children.emplace("file-" + std::to_string(tree.inodes.size()), file);
  }
  return tree;
}

}  // namespace

TEST_CASE("only what could not steer the overlay above is shown") {
  for (const char* shown : {"user.a", "user.overlay", "user.overlayfs"}) CHECK(ImageXattrs::is_shown(shown));
  for (const char* hidden : {"user.overlay.opaque", "user.overlay.", "trusted.a", "security.capability", "user"}) {
    CHECK_FALSE(ImageXattrs::is_shown(hidden));
  }
}

TEST_CASE("an image without any that is shown is known as one") {
  const OpenImage none(tree_with({}));
  CHECK_FALSE(ImageXattrs(*none.reader).any());
  const OpenImage hidden(tree_with({{{"security.capability", "x"}}, {{"user.overlay.opaque", "y"}}}));
  CHECK_FALSE(ImageXattrs(*hidden.reader).any());
  const OpenImage shown(tree_with({{{"security.capability", "x"}}, {{"trusted.a", "1"}, {"user.b", "2"}}}));
  const ImageXattrs xattrs(*shown.reader);
  CHECK(xattrs.any());
  CHECK(xattrs.of(0).size() + xattrs.of(1).size() == 1);
  CHECK(xattrs.of(k_no_xattrs).empty());
}

TEST_CASE("node ids are never those that FUSE took for itself, but for the root") {
  const OpenImage image(tree_with({}));
  const NodeIds nodes(*image.reader);
  const auto root = MetadataPosition::of(image.reader->superblock().root_inode);
  CHECK(nodes.of(root) == 1);
  CHECK(nodes.position(1) == root);
  for (const std::uint64_t reference : {0ull, 1ull, 2ull, (1ull << 48) - 1}) {
    const MetadataPosition inode = MetadataPosition::of(reference);
    if (inode == root) continue;
    CHECK(nodes.of(inode) > 1);
    CHECK(nodes.position(nodes.of(inode)) == inode);
  }
}

}  // namespace mlctr::runtime
