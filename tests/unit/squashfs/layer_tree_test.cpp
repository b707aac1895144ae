#include "squashfs/layer_tree.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "squashfs/layer_error.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr::squashfs;
using mlctr::test::contains;
using mlctr::test::thrown_by;
using Type = TarEntry::Type;

namespace {

// A tree under construction, and a view of it by path.
class Layer {
 public:
  explicit Layer(std::uint64_t max_entries = 1000) : tree_(max_entries) {}

  Layer& add(std::string path, Type type = Type::file, std::string target = {}) {
    return add(TarEntry{.path = std::move(path), .type = type, .link_target = std::move(target), .permissions = 0640});
  }
  Layer& add(const TarEntry& entry) {
    tree_.apply(entry);
    return *this;
  }

  const Inode* find(std::string_view path) {
    InodeIndex at = k_root;
    for (const std::string_view name : parse_layer_path(path)) {
      const auto* directory = std::get_if<Directory>(&tree_.tree().inodes[at].kind);
      if (directory == nullptr) return nullptr;
      const auto child = directory->children.find(name);
      if (child == directory->children.end()) return nullptr;
      at = child->second;
    }
    return &tree_.tree().inodes[at];
  }

  template <typename Kind>
  const Kind& at(std::string_view path) {
    const Inode* inode = find(path);
    REQUIRE_MESSAGE(inode != nullptr, path);
    REQUIRE_MESSAGE(std::holds_alternative<Kind>(inode->kind), path);
    return std::get<Kind>(inode->kind);
  }

  const XattrSet& xattrs(std::string_view path) { return tree_.tree().xattr_sets.at(find(path)->xattrs); }

 private:
  LayerTree tree_;
};

TarEntry device(std::string path, Type type, std::uint64_t major, std::uint64_t minor) {
  return {.path = std::move(path), .type = type, .device_major = major, .device_minor = minor};
}

}  // namespace

TEST_CASE("parents that a layer does not list are implied until it does") {
  Layer layer;
  layer.add("a/b/f");
  CHECK(layer.at<Directory>("/").origin == DirectoryOrigin::implied);
  CHECK(layer.at<Directory>("a").origin == DirectoryOrigin::implied);
  CHECK(layer.find("a/b")->permissions == 0755);
  layer.add("a/b/", Type::directory).add("./", Type::directory);
  CHECK(layer.at<Directory>("a/b").origin == DirectoryOrigin::listed);
  CHECK(layer.find("a/b")->permissions == 0640);
  CHECK(layer.at<Directory>("/").origin == DirectoryOrigin::listed);
  CHECK(layer.at<Directory>("a").origin == DirectoryOrigin::implied);
  layer.at<FileContent>("a/b/f");
}

TEST_CASE("later entries win; only a directory over a directory keeps its children") {
  Layer layer;
  layer.add("x").add("x", Type::symlink, "y");
  CHECK(layer.at<Symlink>("x").target == "y");
  layer.add("d/f").add("d", Type::directory);
  layer.at<FileContent>("d/f");
  CHECK(!layer.at<Directory>("d").is_opaque);
  // What replaced lower layers' directory hid it, so the new one has nothing of theirs.
  layer.add("d").add("d", Type::directory);
  CHECK(layer.find("d/f") == nullptr);
  CHECK(layer.at<Directory>("d").is_opaque);
}

TEST_CASE("whiteouts hide what lower layers have, never what the layer itself brings") {
  Layer layer;
  layer.add("a/.wh.gone").add(".wh.new").add("new").add("old").add(".wh.old");
  layer.at<Whiteout>("a/gone");
  layer.at<FileContent>("new");
  layer.at<FileContent>("old");
  layer.add("before/f").add(".wh.before").add(".wh.after").add("after/f");
  CHECK(layer.at<Directory>("before").is_opaque);
  CHECK(layer.at<Directory>("after").is_opaque);
  layer.at<FileContent>("before/f");
  layer.at<FileContent>("after/f");
}

TEST_CASE("opaque markers count at the root, before and after content, and for implied directories") {
  Layer layer;
  layer.add(".wh..wh..opq").add("a/f").add("a/.wh..wh..opq").add("b/.wh..wh..opq").add("b", Type::directory);
  CHECK(layer.at<Directory>("/").is_opaque);
  CHECK(layer.at<Directory>("a").is_opaque);
  CHECK(layer.at<Directory>("b").is_opaque);
  CHECK(layer.at<Directory>("a").children.size() == 1);
}

TEST_CASE("overlayfs's whiteout device is one, other devices are devices") {
  Layer layer;
  layer.add(device("gone", Type::character_device, 0, 0)).add(device("null", Type::character_device, 1, 3));
  layer.add(device("zero", Type::block_device, 0, 0));
  layer.at<Whiteout>("gone");
  CHECK(layer.at<Device>("null").minor == 3);
  CHECK(layer.at<Device>("zero").kind == DeviceKind::block);
}

TEST_CASE("aufs's own files are ignored") {
  Layer layer;
  layer.add(".wh..wh.aufs").add(".wh..wh.plnk/1.2").add("d/.wh..wh.orph", Type::directory);
  CHECK(layer.at<Directory>("/").children.empty());
}

TEST_CASE("hard links share the inode they name") {
  Layer layer;
  layer.add("d/f").add("l", Type::hard_link, "/d/f").add("s", Type::symlink, "d/f").add("ls", Type::hard_link, "./s");
  CHECK(layer.find("l") == layer.find("d/f"));
  CHECK(layer.find("ls") == layer.find("s"));
  // Through a symlinked directory, and to a name that is taken afterwards.
  layer.add("way", Type::symlink, "d").add("l2", Type::hard_link, "way/f").add("d/f", Type::fifo);
  CHECK(layer.find("l2") == layer.find("l"));
  layer.at<FileContent>("l");
  layer.at<Fifo>("d/f");
  layer.add("l", Type::hard_link, "l");
  layer.at<FileContent>("l");
}

TEST_CASE("hard links to what only lower layers have are left to the merge") {
  Layer layer;
  layer.add("l", Type::hard_link, "usr/bin/x").add("again", Type::hard_link, "l");
  CHECK(layer.at<LowerLink>("l").target == "usr/bin/x");
  CHECK(layer.at<LowerLink>("again").target == "usr/bin/x");
  CHECK(layer.find("usr") == nullptr);
  layer.add("way", Type::symlink, "/opt/./v1/../v2").add("l2", Type::hard_link, "way/bin/y");
  CHECK(layer.at<LowerLink>("l2").target == "opt/v2/bin/y");
  // pax lets a link have content: with nothing to link to, that is the file.
  Layer pax;
  pax.add({.path = "l", .type = Type::hard_link, .link_target = "gone", .size_bytes = 3});
  pax.at<FileContent>("l");
}

TEST_CASE("symlinked parents are followed inside the root") {
  Layer layer;
  layer.add("real/sub", Type::directory).add("rel", Type::symlink, "real").add("abs", Type::symlink, "/real/sub");
  layer.add("rel/f").add("abs/g").add("real/up", Type::symlink, "../../../..").add("rel/up/top");
  layer.at<FileContent>("real/f");
  layer.at<FileContent>("real/sub/g");
  layer.at<FileContent>("top");
  layer.add("dangling", Type::symlink, "not/yet").add("dangling/h");
  CHECK(layer.at<Directory>("not/yet").origin == DirectoryOrigin::implied);
  layer.at<FileContent>("not/yet/h");
  // The way the last entry went is not taken for granted once it has changed.
  layer.add("rel", Type::directory).add("rel/i");
  layer.at<FileContent>("rel/i");
}

TEST_CASE("hostile input: entries that no image may have are refused by name") {
  const auto message_of = [](std::initializer_list<TarEntry> entries) {
    return thrown_by<LayerError>([&] {
             Layer layer;
             for (const TarEntry& entry : entries) layer.add(entry);
           })
        .message;
  };
  const auto link = [](std::string target) {
    return TarEntry{.path = "l", .type = Type::hard_link, .link_target = std::move(target)};
  };
  const auto symlink = [](std::string target) {
    return TarEntry{.path = "s", .type = Type::symlink, .link_target = std::move(target)};
  };
  CHECK(message_of({{.path = "../x"}}) == "tar entry '../x': leads out of the layer");
  CHECK(message_of({{.path = "x\x1b[2J/../.."}}) == "tar entry 'x\\x1b[2J/../..': leads out of the layer");
  CHECK(contains(message_of({{.path = ""}}), "has no name"));
  CHECK(contains(message_of({{.path = "/"}}), "replace the root"));
  CHECK(contains(message_of({{.path = "f"}, {.path = "f/g"}}), "no directory"));
  CHECK(contains(message_of({{.path = "d", .type = Type::directory}, link("d")}), "is a directory"));
  CHECK(contains(message_of({link("../l")}), "'../l' of the hard link: leads out"));
  CHECK(contains(message_of({link("./l")}), "the link itself"));
  CHECK(contains(message_of({{.path = ".wh.x"}, link("x")}), "removed"));
  CHECK(contains(message_of({symlink("")}), "to nothing"));
  CHECK(contains(message_of({symlink(std::string(4096, 'a'))}), "4095"));
  CHECK(contains(message_of({symlink("s"), {.path = "s/f"}}), "40 symlinks"));
  CHECK(contains(message_of({{.path = "f", .uid = -1}}), "uid -1"));
  CHECK(contains(message_of({{.path = "f", .gid = 1ll << 32}}), "gid 4294967296"));
  CHECK(contains(message_of({device("dev", Type::block_device, 4096, 0)}), "device number"));
}

TEST_CASE("hostile input: symlinks can't nest directories without end") {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "d/";
  Layer layer(10'000);
  layer.add(deep, Type::directory).add("one", Type::symlink, deep);
  layer.add("one/" + deep, Type::directory).add("two", Type::symlink, "one/" + deep);
  CHECK(contains(thrown_by<LayerError>([&] { layer.add("two/" + deep, Type::directory); }).message, "2048"));
}

TEST_CASE("hostile input: entries, the directories they imply and their text are limited") {
  Layer layer(5);
  layer.add("a/b/c");
  const auto thrown = thrown_by<LayerLimitError>([&] { layer.add("d/e/f"); });
  CHECK(contains(thrown.hint, "pull.max_layer_entries"));
  Layer wordy(10);
  wordy.add({.path = "f", .xattrs = {{"user.a", std::string(1500, 'x')}}});
  CHECK_THROWS_AS(wordy.add("g"), LayerLimitError);
}

TEST_CASE("metadata is kept as far as squashfs goes") {
  Layer layer;
  layer.add({.path = "f", .permissions = 06755, .uid = 4294967295, .gid = 70000, .mtime = -3});
  const Inode& inode = *layer.find("f");
  CHECK(inode.permissions == 06755);
  CHECK(inode.uid == 4294967295);
  CHECK(inode.gid == 70000);
  CHECK(inode.mtime == 0);
  layer.add(TarEntry{.path = "g", .mtime = 1ll << 40});
  CHECK(layer.find("g")->mtime == 4294967295);
}

TEST_CASE("extended attributes that an image may carry are kept, sorted; marks are not") {
  Layer layer;
  layer.add({.path = "f",
             .xattrs = {{"user.b", "2"},
                        {"security.capability", std::string("\x01\0\0\x02", 4)},
                        {"user.b", "first"},
                        {"trusted.a", ""},
                        {"trusted.overlay.opaque", "y"},
                        {"user.overlay.opaque", "y"},
                        {"trusted.mlctr.lower", "etc/shadow"},
                        {"security.selinux", "x"},
                        {"system.posix_acl_access", "x"},
                        {"user.", "x"}}});
  CHECK(layer.xattrs("f") ==
        XattrSet{{"security.capability", std::string("\x01\0\0\x02", 4)}, {"trusted.a", ""}, {"user.b", "2"}});
  CHECK_THROWS_AS(layer.add(TarEntry{.path = "g", .xattrs = {{"user.big", std::string(65537, 'x')}}}), LayerError);
}
