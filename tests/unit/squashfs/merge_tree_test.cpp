// What layers mean together. Every expectation is what `umoci unpack` (0.4.7, as root) made of the same layers, but
// where a case says that umoci fails.
#include "squashfs/merge_tree.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>

#include "../thrown.hpp"
#include "sample_image.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

// A layer of lines: "a/" a directory, "a/~" opaque, "a -> b" a symlink, "a = b" a link to a lower path, "!a" a
// whiteout, "a" a file whose size says which layer it is of. Directories without a line are implied.
Tree layer_of(std::uint32_t number, std::initializer_list<std::string_view> lines) {
  Tree tree;
  tree.directory(k_root).origin = DirectoryOrigin::implied;
  for (std::string_view line : lines) {
    const auto put = [&](std::string_view path, InodeKind kind) {
      for (std::size_t slash = 0; (slash = path.find('/', slash + 1)) != path.npos;) {
        const std::string_view parent = path.substr(0, slash);
        const auto known =
            tree.directory(parent.find('/') == parent.npos ? k_root
                                                           : find_in(tree, parent.substr(0, parent.rfind('/'))))
                .children.contains(parent.substr(parent.rfind('/') + 1));
        if (!known) add_at(tree, parent, {.kind = Directory{.children = {}, .origin = DirectoryOrigin::implied}});
      }
      add_at(tree, path, {.kind = std::move(kind), .uid = number});
    };
    const std::size_t arrow = line.find(" -> ");
    const std::size_t equals = line.find(" = ");
    if (arrow != line.npos) {
      put(line.substr(0, arrow), Symlink{std::string(line.substr(arrow + 4))});
    } else if (equals != line.npos) {
      put(line.substr(0, equals), LowerLink{std::string(line.substr(equals + 3))});
    } else if (line.starts_with('!')) {
      put(line.substr(1), Whiteout{});
    } else if (line == "~") {
      tree.directory(k_root).is_opaque = true;
    } else if (line.ends_with("/~")) {
      tree.directory(find_in(tree, line.substr(0, line.size() - 2))).is_opaque = true;
    } else if (line.ends_with('/')) {
      put(line.substr(0, line.size() - 1), Directory{});
    } else {
      put(line, FileContent{.size_bytes = number});
    }
  }
  return tree;
}

// "a/ a/x:1 s->t b:0=a": directories, files with their layer, symlinks, further names of an inode.
void describe(const Tree& tree, InodeIndex directory, const std::string& prefix,
              std::map<InodeIndex, std::string>& names, std::string& text) {
  for (const auto& [name, child] : tree.directory(directory).children) {
    const Inode& inode = tree.inodes[child];
    const std::string path = prefix + name;
    text += text.empty() ? path : " " + path;
    if (const auto* file = std::get_if<FileContent>(&inode.kind)) text += fmt::format(":{}", file->size_bytes);
    if (const auto* link = std::get_if<Symlink>(&inode.kind)) text += "->" + link->target;
    const auto [first, is_new] = names.try_emplace(child, path);
    if (!is_new) text += "=" + first->second;
    if (std::holds_alternative<Directory>(inode.kind)) {
      text += inode.uid == 0 ? "/" : fmt::format("/{}", inode.uid);
      describe(tree, child, path + "/", names, text);
    }
  }
}

std::string describe(const MergedTree& merged) {
  std::string text;
  std::map<InodeIndex, std::string> names;
  describe(merged.tree(), k_root, "", names, text);
  return text;
}

using Lines = std::initializer_list<std::string_view>;

std::string merge(std::initializer_list<Lines> layers) {
  MergedTree merged;
  std::uint32_t number = 0;
  for (const Lines& lines : layers) merged.apply(layer_of(number++, lines));
  return describe(merged);
}

}  // namespace

TEST_CASE("whiteouts remove what lower layers have, and nothing else") {
  CHECK(merge({{"a/", "a/x", "a/y"}, {"!a/x"}}) == "a/ a/y:0");
  CHECK(merge({{"a/", "a/b/", "a/b/c"}, {"!a/b"}}) == "a/");
  CHECK(merge({{"a/"}, {"!b/x"}}) == "a/");
  CHECK(merge({{"a/"}, {"!b/c/d", "b/e/"}}) == "a/ b/ b/e/1");
  CHECK(merge({{"x"}, {"!x"}, {"x"}}) == "x:2");
}

TEST_CASE("opaque directories hide the lower entries, not their own") {
  CHECK(merge({{"a/", "a/old", "a/s/t"}, {"a/", "a/new", "a/~"}}) == "a/1 a/new:1");
  CHECK(merge({{"a/", "a/old"}, {"a/new", "a/~"}}) == "a/ a/new:1");
  CHECK(merge({{"old", "k/"}, {"new", "~"}}) == "new:1");
}

TEST_CASE("a listed directory keeps lower entries and replaces anything else") {
  CHECK(merge({{"a/", "a/x"}, {"a/", "a/y"}}) == "a/1 a/x:0 a/y:1");
  CHECK(merge({{"a"}, {"a/", "a/x"}}) == "a/1 a/x:1");
  CHECK(merge({{"t/", "t/z", "a -> t"}, {"a/", "a/x"}}) == "a/1 a/x:1 t/ t/z:0");
}

TEST_CASE("an implied directory keeps lower attributes and follows a lower symlink inside the root") {
  CHECK(merge({{}, {"a/"}, {"a/x"}}) == "a/1 a/x:2");
  CHECK(merge({{"t/", "t/z", "a -> t"}, {"a/x"}}) == "a->t t/ t/x:1 t/z:0");
  CHECK(merge({{"t/u/", "a -> /t/u"}, {"a/x"}}) == "a->/t/u t/ t/u/ t/u/x:1");
  CHECK(merge({{"t/a -> ../../../t2", "t2/"}, {"t/a/x"}}) == "t/ t/a->../../../t2 t2/ t2/x:1");
  CHECK(merge({{"a -> t/u"}, {"a/x"}}) == "a->t/u t/ t/u/ t/u/x:1");
  CHECK(merge({{"a -> b", "b -> c", "c/"}, {"a/x"}}) == "a->b b->c c/ c/x:1");
  CHECK(merge({{"t/", "t/z", "a -> t"}, {"!a/z"}}) == "a->t t/");
  CHECK(merge({{"t/", "t/z", "a -> t"}, {"a/n", "a/~"}}) == "a->t t/ t/n:1");
}

TEST_CASE("where umoci fails, a new directory replaces what can't be one") {
  CHECK(merge({{"a -> b", "b -> a"}, {"a/x"}}) == "a/ a/x:1 b->a");
  CHECK(merge({{"t", "a -> t"}, {"a/x"}}) == "a/ a/x:1 t:0");
  CHECK(merge({{"a"}, {"a/x"}}) == "a/ a/x:1");
}

TEST_CASE("anything but a directory replaces what is below") {
  CHECK(merge({{"a/", "a/x"}, {"a"}}) == "a:1");
  CHECK(merge({{"a/", "a/x", "t/"}, {"a -> t"}}) == "a->t t/");
  CHECK(merge({{"a"}, {"a/", "a/x"}, {"a"}}) == "a:2");
}

TEST_CASE("links across layers are links, and groups survive the loss of a name") {
  CHECK(merge({{"a", "d/"}, {"d/b = a"}}) == "a:0 d/ d/b:0=a");
  CHECK(merge({{"t/", "t/a", "s -> t"}, {"b = s/a"}}) == "b:0 s->t t/ t/a:0=b");
  CHECK(merge({{"s -> nowhere"}, {"b = s"}}) == "b->nowhere s->nowhere=b");
  CHECK(merge({{"a"}, {"b = a", "!a"}}) == "b:0");
  CHECK(merge({{"a"}, {"b = a", "a"}}) == "a:1 b:0");
  CHECK(merge({{"x/", "x/q", "a"}, {"x = a"}}) == "a:0 x:0=a");
  CHECK(merge({{"a"}, {"b = a"}, {"c = a"}, {"b"}}) == "a:0 b:3 c:0=a");
}

TEST_CASE("a link to what is nowhere names both paths") {
  const auto link = [](Lines below) { return thrown_by([&] { merge({below, {"d/e/b = c/zzz"}}); }).message; };
  CHECK(link({"a"}) == "cannot make /d/e/b a hard link: no file /c/zzz in this layer or below");
  CHECK(contains(link({"c/zzz/"}), "no file /c/zzz"));
}

TEST_CASE("put replaces what layers have on its way") {
  MergedTree merged;
  merged.apply(layer_of(1, {"etc/", ".m -> etc", "etc/x"}));
  merged.put("/.m/one", {.kind = FileContent{.size_bytes = 77}});
  merged.put("/.m/two", {.kind = FileContent{.size_bytes = 78}});
  CHECK(describe(merged) == ".m/ .m/one:77 .m/two:78 etc/1 etc/x:1");
  MergedTree forged;
  forged.apply(layer_of(1, {".m/", ".m/evil"}));
  forged.put("/.m/one", {.kind = FileContent{.size_bytes = 77}});
  CHECK(describe(forged) == ".m/ .m/one:77");
}

// An independent model without symlinks or links: a map of paths, on which each line of a layer acts by itself.
TEST_CASE("random stacks agree with a model of plain paths") {
  std::mt19937 random(42);  // NOLINT: the same layers in every run
  const auto path = [&] {
    std::string text;
    for (auto depth = 1 + random() % 3; depth > 0; --depth)
      text += fmt::format("{}{}", text.empty() ? "" : "/", "abc"[random() % 3]);
    return text;
  };
  const auto erase_below = [](std::map<std::string, std::string>& model, const std::string& at) {
    std::erase_if(model, [&](const auto& entry) { return entry.first.starts_with(at + "/"); });
  };
  for (int round = 0; round < 2000; ++round) {
    MergedTree merged;
    std::map<std::string, std::string> model;
    std::string story;
    for (std::uint32_t number = 0; number < 3; ++number) {
      Tree layer;
      layer.directory(k_root).origin = DirectoryOrigin::implied;
      std::map<std::string, char> lines;
      for (auto count = random() % 5; count > 0; --count) {
        const std::string at = path();
        const bool is_clear = std::ranges::none_of(lines, [&](const auto& other) {
          return other.first == at || other.first.starts_with(at + "/") ||
                 (at.starts_with(other.first + "/") && other.second != 'd');
        });
        if (is_clear) lines[at] = "fdw"[random() % 3];
      }
      // Removals first: a layer never removes what it brings.
      for (const char pass : {'w', 'x'}) {
        for (const auto& [at, what] : lines) {
          if ((what == 'w') != (pass == 'w')) continue;
          story += fmt::format(" {}{}:{}", what, number, at);
          if (what == 'w') {
            model.erase(at);
            erase_below(model, at);
            continue;
          }
          for (std::size_t slash = at.find('/'); slash != at.npos; slash = at.find('/', slash + 1)) {
            std::string& parent = model[at.substr(0, slash)];
            if (!parent.starts_with('d')) parent = "d0";
          }
          if (what == 'f') erase_below(model, at);
          model[at] = fmt::format("{}{}", what, number);
        }
      }
      for (const auto& [at, what] : lines) {
        for (std::size_t slash = at.find('/'); slash != at.npos; slash = at.find('/', slash + 1)) {
          const std::string parent = at.substr(0, slash);
          if (lines.contains(parent)) continue;
          const std::size_t last = parent.rfind('/');
          const InodeIndex above = last == parent.npos ? k_root : find_in(layer, parent.substr(0, last));
          if (layer.directory(above).children.contains(parent.substr(last + 1))) continue;
          add_at(layer, parent, {.kind = Directory{.children = {}, .origin = DirectoryOrigin::implied}});
        }
        InodeKind kind = Whiteout{};
        if (what == 'f') kind = FileContent{.size_bytes = number};
        if (what == 'd') kind = Directory{};
        add_at(layer, at, {.kind = std::move(kind), .uid = number});
      }
      merged.apply(std::move(layer));
    }
    std::string expected;
    for (const auto& [at, what] : model) {
      const std::string detail = what[0] == 'f' ? ":" + what.substr(1) : what == "d0" ? "/" : "/" + what.substr(1);
      expected += fmt::format("{}{}{}", expected.empty() ? "" : " ", at, detail);
    }
    CAPTURE(story);
    CHECK(describe(merged) == expected);
  }
}
