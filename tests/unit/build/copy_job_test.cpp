#include "build/copy_job.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using build::CopyJob;
using build::DestinationKind;
using build::SourceTree;

namespace {

struct Copying {
  test::TemporaryDirectory from, to;

  SourceTree tree() const { return SourceTree(open_file(from.path(), O_RDONLY | O_DIRECTORY), "the context"); }
  build::CopyResult run(const CopyJob& job) const {
    return build::run_copy(job, tree(), open_file(to.path(), O_PATH | O_DIRECTORY));
  }
  std::string read(const char* path) const { return read_file(to / path); }
};

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a file goes into a directory, or becomes the destination") {
  const Copying copying;
  copying.from.write("f", "content");
  std::filesystem::create_directory(copying.to / "there");
  copying.run({.sources = {"f"}, .destination = "/there"});
  copying.run({.sources = {"f"}, .destination = "/new"});
  copying.run({.sources = {"f"}, .destination = "/made/", .kind = DestinationKind::directory});
  for (const char* path : {"there/f", "new", "made/f"}) CHECK(copying.read(path) == "content");
}

TEST_CASE("of a directory the content is copied") {
  const Copying copying;
  copying.from.write("d/x", "x");
  copying.from.write("d/e/y", "y");
  ::chmod((copying.from / "d/e").c_str(), 0700);
  std::filesystem::create_directory(copying.to / "there");
  ::chmod((copying.to / "there").c_str(), 0711);
  const auto result = copying.run({.sources = {"d"}, .destination = "/there", .owner = "5:6"});
  CHECK(copying.read("there/x") == "x");
  CHECK(copying.read("there/e/y") == "y");
  CHECK(mode_of(copying.to / "there") == 0711);  // it was there
  CHECK(mode_of(copying.to / "there/e") == 0700);
  CHECK(result.owners.at("/there/e/y").uid == 5);
  CHECK(result.owners.at("/there/e").gid == 6);
  CHECK_FALSE(result.owners.contains("/there"));
}

TEST_CASE("links of the rootfs stay inside it") {
  const Copying copying;
  copying.from.write("f", "content");
  REQUIRE(::symlink("/outside", (copying.to / "link").c_str()) == 0);
  copying.run({.sources = {"f"}, .destination = "/link"});
  CHECK(copying.read("outside") == "content");
  CHECK_FALSE(std::filesystem::exists("/outside"));
}

TEST_CASE("names of owners are the rootfs's") {
  const Copying copying;
  copying.from.write("f", "");
  copying.to.write("etc/passwd", "root:x:0:0::/:/bin/sh\nme:x:12:34::/:/bin/sh\n");
  copying.to.write("etc/group", "them:x:56:\n");
  CHECK(copying.run({.sources = {"f"}, .destination = "/a", .owner = "me"}).owners.at("/a").gid == 34);
  CHECK(copying.run({.sources = {"f"}, .destination = "/a", .owner = "me:them"}).owners.at("/a").gid == 56);
  CHECK(copying.run({.sources = {"f"}, .destination = "/a", .owner = "7"}).owners.at("/a").gid == 7);
  const auto job = CopyJob{.sources = {"f"}, .destination = "/a", .owner = "who"};
  CHECK(test::contains(test::thrown_by([&] { copying.run(job); }).message, "no who in the image's /etc/passwd"));
}

TEST_CASE("what is copied has the digest that was taken before") {
  const Copying copying;
  copying.from.write("d/x", "x");
  copying.from.write("d/y", "yy");
  copying.from.write("e", "");
  const CopyJob job{.sources = {"d", "e"},
                    .contents = {{"here", "text"}},
                    .destination = "/all/",
                    .kind = DestinationKind::directory};
  const Digest before = build::digest_sources(job, copying.tree());
  CHECK(copying.run(job).content == before);
  CHECK(build::digest_sources(job, copying.tree()) == before);
  copying.from.write("d/x", "z");
  CHECK(build::digest_sources(job, copying.tree()) != before);
  CHECK(copying.run(job).content != before);
  copying.from.write("d/x", "x");
  ::chmod((copying.from / "d/x").c_str(), 0755);
  CHECK(build::digest_sources(job, copying.tree()) != before);
}

TEST_CASE("two files that swap contents are told apart") {
  const Copying first, second;
  first.from.write("a", "1");
  first.from.write("b", "");
  second.from.write("a", "");
  second.from.write("b", "1");
  const CopyJob job{.sources = {"a", "b"}, .destination = "/x/", .kind = DestinationKind::directory};
  CHECK(build::digest_sources(job, first.tree()) != build::digest_sources(job, second.tree()));
}

TEST_CASE("what is excluded is neither copied nor counted") {
  const Copying copying;
  copying.from.write("d/x", "x");
  const CopyJob job{.sources = {"d"}, .destination = "/all", .excludes = {"*.log"}};
  const Digest before = build::digest_sources(job, copying.tree());
  copying.from.write("d/y.log", "y");
  CHECK(build::digest_sources(job, copying.tree()) == before);
  copying.run(job);
  CHECK_FALSE(std::filesystem::exists(copying.to / "all/y.log"));
}
