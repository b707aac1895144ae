#include "build/source_tree.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using build::SourceTree;
using Paths = std::vector<std::string>;

namespace {

SourceTree open_tree(const test::TemporaryDirectory& directory, std::string_view ignored = "") {
  return SourceTree(open_file(directory.path(), O_RDONLY | O_DIRECTORY), "the context",
                    containerfile::IgnorePatterns::parse(ignored, ".dockerignore"));
}

Paths walk(const SourceTree& tree, const std::string& top) {
  Paths paths;
  tree.walk(top, [&](const build::SourceNode& node) { paths.push_back(node.path); });
  return paths;
}

void link(const std::string& target, const std::filesystem::path& path) {
  REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
}

}  // namespace

TEST_CASE("wildcards stop at slashes, names go on through links") {
  const test::TemporaryDirectory directory;
  for (const char* name : {"b.txt", "a.txt", "d/c.txt", "d/e/f.txt", "c.md"}) directory.write(name, "x");
  link("d", directory / "link");
  const SourceTree tree = open_tree(directory);
  CHECK(tree.expand("*.txt") == Paths{"a.txt", "b.txt"});
  CHECK(tree.expand("*/*.txt") == Paths{"d/c.txt", "link/c.txt"});
  CHECK(tree.expand("./d//c.txt") == Paths{"d/c.txt"});
  CHECK(tree.expand("/d/../a.txt") == Paths{"a.txt"});
  CHECK(tree.resolve("link/e") == "d/e");
  CHECK(test::contains(test::thrown_by([&] { tree.expand("nothing*"); }).message, "nothing* is not in the context"));
}

TEST_CASE("no link leads out") {
  const test::TemporaryDirectory directory;
  directory.write("etc/hostname", "ours");
  link("/etc/hostname", directory / "absolute");
  link("../../../../../../etc/hostname", directory / "relative");
  link("circle", directory / "circle");
  const SourceTree tree = open_tree(directory);
  CHECK(tree.resolve("absolute") == "etc/hostname");
  CHECK(tree.resolve("relative") == "etc/hostname");
  CHECK_FALSE(tree.resolve("../etc/passwd"));
  CHECK_THROWS_AS(tree.resolve("circle"), SysError);
  CHECK_THROWS_AS(tree.open("absolute", O_RDONLY), SysError);
}

TEST_CASE("a walk is in order, and without what is ignored") {
  const test::TemporaryDirectory directory;
  for (const char* name : {"z", "a/2", "a/1", "log/x.log", "log/keep/it", "log/keep/not.log", "only/x.log"}) {
    directory.write(name, "x");
  }
  CHECK(walk(open_tree(directory), "a") == Paths{"a", "a/1", "a/2"});
  const SourceTree tree = open_tree(directory, "log\nonly\n!log/keep\n**/*.log\n");
  CHECK(walk(tree, "") == Paths{"", "a", "a/1", "a/2", "log", "log/keep", "log/keep/it", "z"});
  CHECK_FALSE(tree.resolve("only"));
  CHECK_FALSE(tree.resolve("only/x.log"));
}
