#include "app/file_set.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.hpp"
#include "base/process.hpp"

using namespace mlctr;

namespace {

// A directory with two members and a link, and GNU tar to pack it: an implementation that is not ours.
class PackedDirectory {
 public:
  PackedDirectory() {
    REQUIRE(::mkdtemp(name_) != nullptr);
    std::filesystem::create_directories(root() / "in/deep");
    std::ofstream(root() / "in/first") << "one";
    std::ofstream(root() / "in/deep/second") << std::string(100'000, 'x');
    std::ofstream(root() / "in/empty");
    std::filesystem::create_symlink("../first", root() / "in/deep/link");
  }
  ~PackedDirectory() { std::filesystem::remove_all(name_); }

  std::filesystem::path root() const { return name_; }

  std::filesystem::path pack(const std::string& file, const std::string& option) const {
    const std::string path = (root() / file).string();
    const ProcessResult result =
        run_process({.arguments = {"tar", option, "-f", path, "-C", (root() / "in").string(), "first", "deep", "empty"},
                     .standard_input = {}});
    REQUIRE(result.exit_code == 0);
    return path;
  }

 private:
  char name_[32] = "/tmp/mlctr-files-XXXXXX";
};

UnpackLimits unpacking(const std::filesystem::path& scratch) {
  return {.scratch_directory = scratch, .max_bytes = 1 << 20, .stop = {}};
}

void check_content(const FileSet& files) {
  CHECK(files.read("first", 100) == "one");
  CHECK(files.read("deep/second", 1 << 20) == std::string(100'000, 'x'));
  CHECK(files.read("empty", 100).empty());
  CHECK_FALSE(files.find("missing"));
  CHECK_THROWS_AS(files.read("missing", 100), Error);
  CHECK_THROWS_AS(files.read("deep/second", 99'999), Error);
}

}  // namespace

TEST_CASE("a directory, a tar and compressed tars give the same files") {
  const PackedDirectory packed;
  SUBCASE("directory") {
    check_content(*open_directory(packed.root() / "in"));
  }
  SUBCASE("tar") {
    check_content(*open_tar(packed.pack("plain.tar", "-c"), unpacking(packed.root())));
  }
  SUBCASE("pax") {
    check_content(*open_tar(packed.pack("pax.tar", "-cHpax"), unpacking(packed.root())));
  }
  SUBCASE("gzip") {
    check_content(*open_tar(packed.pack("gzip.tar.gz", "-cz"), unpacking(packed.root())));
  }
}

TEST_CASE("a symlink in a tar leads to the member, as docker save means it") {
  const PackedDirectory packed;
  CHECK(open_tar(packed.pack("plain.tar", "-c"), unpacking(packed.root()))->read("deep/link", 100) == "one");
}

TEST_CASE("a decompressed archive leaves no file behind") {
  const PackedDirectory packed;
  const std::filesystem::path scratch = packed.root() / "scratch";
  std::filesystem::create_directory(scratch);
  const auto files = open_tar(packed.pack("gzip.tar.gz", "-cz"), unpacking(scratch));
  CHECK(std::filesystem::is_empty(scratch));
}

TEST_CASE("a tar that is cut short is refused") {
  const PackedDirectory packed;
  const std::filesystem::path path = packed.pack("plain.tar", "-c");
  // Inside the second member's data: after three headers and "one".
  std::filesystem::resize_file(path, 20'000);
  CHECK_THROWS_AS(open_tar(path, unpacking(packed.root())), Error);
}

TEST_CASE("an archive that is cut short while it is read is an error, not a SIGBUS") {
  const PackedDirectory packed;
  const std::filesystem::path path = packed.pack("plain.tar", "-c");
  const auto files = open_tar(path, unpacking(packed.root()));
  std::filesystem::resize_file(path, 20'000);
  CHECK_THROWS_AS(files->read("deep/second", 1 << 20), Error);
  ProgressItem progress("layer", 100'000);
  const auto stream = stream_range(*files->find("deep/second"), progress, {});
  std::vector<std::byte> buffer(200'000);
  CHECK(stream->read(buffer) < 100'000);
  CHECK(stream->read(buffer) == 0);
}

TEST_CASE("members are found behind long names and padding of every size") {
  const PackedDirectory packed;
  const std::string long_name(180, 'n');
  std::filesystem::create_directories(packed.root() / "in/deep" / long_name);
  for (const std::size_t size : {1, 511, 512, 513, 65'535, 65'536, 65'537}) {
    std::ofstream(packed.root() / "in/deep" / long_name / std::to_string(size)) << std::string(size, 'y');
  }
  for (const char* option : {"-cHgnu", "-cHpax", "-cHposix"}) {
    const auto files = open_tar(packed.pack("long.tar", option), unpacking(packed.root()));
    for (const std::size_t size : {1, 511, 512, 513, 65'535, 65'536, 65'537}) {
      CHECK(files->read("deep/" + long_name + "/" + std::to_string(size), 1 << 20) == std::string(size, 'y'));
    }
  }
}

TEST_CASE("a member with holes is refused: its bytes do not lie in one piece") {
  const PackedDirectory packed;
  std::filesystem::resize_file(packed.root() / "in/deep/second", 10 << 20);
  for (const char* option : {"-cSHgnu", "-cSHpax"}) {
    CHECK_THROWS_AS(open_tar(packed.pack("sparse.tar", option), unpacking(packed.root())), Error);
  }
}

TEST_CASE("what is no tar is refused with its name") {
  const PackedDirectory packed;
  std::ofstream(packed.root() / "junk") << "this is not a tar archive, whatever its name says";
  try {
    open_tar(packed.root() / "junk", unpacking(packed.root()));
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.message().find("junk") != std::string::npos);
  }
}

TEST_CASE("a directory's files must be regular") {
  const PackedDirectory packed;
  CHECK_THROWS_AS(open_directory(packed.root() / "in")->find("deep"), Error);
}

TEST_CASE("a compressed archive may unpack only so far") {
  const PackedDirectory packed;
  const std::filesystem::path path = packed.pack("gzip.tar.gz", "-cz");
  CHECK_THROWS_AS(open_tar(path, {.scratch_directory = packed.root(), .max_bytes = 50'000, .stop = {}}), Error);
}

TEST_CASE("no compression that runs a program is taken") {
  const PackedDirectory packed;
  // lrzip's magic inside gzip: libarchive's filter_all would start lrzip for it.
  std::ofstream(packed.root() / "inner") << std::string("LRZI\0\6", 6) + std::string(200, '0');
  const ProcessResult result =
      run_process({.arguments = {"gzip", (packed.root() / "inner").string()}, .standard_input = {}});
  REQUIRE(result.exit_code == 0);
  // What is unpacked is the inner file as it is, which is no tar.
  CHECK_THROWS_AS(open_tar(packed.root() / "inner.gz", unpacking(packed.root())), Error);
}

TEST_CASE("a FIFO is refused, not waited for") {
  const PackedDirectory packed;
  const std::filesystem::path fifo = packed.root() / "fifo";
  REQUIRE(run_process({.arguments = {"mkfifo", fifo.string()}, .standard_input = {}}).exit_code == 0);
  CHECK_THROWS_AS(open_tar(fifo, unpacking(packed.root())), Error);
}
