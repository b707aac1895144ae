#include "squashfs/convert_layer.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "squashfs/layer_error.hpp"
#include "tests/unit/squashfs/layer_conversion.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;
namespace fs = std::filesystem;

namespace {

// Everything about a tree that unsquashfs restores: the set-id bits only for root.
std::map<std::string, std::string> describe(const fs::path& root) {
  std::map<std::string, std::string> tree;
  const mode_t restored = ::geteuid() == 0 ? ~mode_t{0} : ~mode_t{S_ISUID | S_ISGID};
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat status {};
    REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
    const std::string name = entry.path().lexically_relative(root);
    std::string text = std::to_string(status.st_mode & restored) + " " + std::to_string(status.st_mtime) + " ";
    if (S_ISLNK(status.st_mode)) text += fs::read_symlink(entry.path()).string();
    if (S_ISREG(status.st_mode)) {
      std::ifstream file(entry.path(), std::ios::binary);
      text += Digest::of(std::string(std::istreambuf_iterator<char>(file), {})).hex();
      if (status.st_nlink > 1) text += " linked " + std::to_string(status.st_nlink);
    }
    tree[name] = text;
  }
  return tree;
}

void make_files(const TemporaryDirectory& root) {
  root.write("files/empty", "");
  root.write("files/etc/small", "small");
  root.write("files/etc/copy", "small");
  root.write("files/caf\xc3\xa9/\xff\xfe", "no text");
  root.write("files/" + std::string(120, 'd') + "/" + std::string(140, 'f'), "long");
  root.write("files/lib/large", some_bytes(700'000, 1));
  root.write("files/lib/same", some_bytes(700'000, 1));
  root.write("files/lib/block", some_bytes(128 << 10, 2));
  const fs::path sparse = root.write("files/lib/sparse", some_bytes(5000, 3));
  fs::resize_file(sparse, 3'000'000);
  for (int i = 0; i < 300; ++i) {
    root.write("files/many/" + std::to_string(i), some_bytes(static_cast<std::size_t>(i) * 31, 100u + unsigned(i)));
  }
  fs::create_hard_link(root / "files/lib/large", root / "files/hard");
  fs::create_symlink("etc/small", root / "files/soft");
  fs::create_symlink(std::string(180, 't'), root / "files/far");
  REQUIRE(::mkfifo((root / "files/fifo").c_str(), 0600) == 0);
  fs::permissions(root / "files/etc/small", fs::perms(04711));
}

std::string zstd(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  return packed;
}

// A tar of some size, for what needs time or threads.
std::string large_tar() {
  TarBuilder tar;
  for (unsigned i = 0; i < 60; ++i) {
    tar.add({.name = "large" + std::to_string(i), .content = some_bytes(200'000 + i * 1000, i % 50)});
    tar.add({.name = "small" + std::to_string(i), .content = some_bytes(i * 700, i)});
  }
  return tar.finish();
}

std::string error_of(const Conversion& conversion) {
  return thrown_by<Error>([&] { conversion.run(); }).message;
}

}  // namespace

TEST_CASE("what GNU tar packs in any format, unsquashfs unpacks the same") {
  const TemporaryDirectory directory;
  make_files(directory);
  const auto expected = describe(directory / "files");
  for (const std::string format : {"gnu", "pax", "posix", "oldgnu"}) {
    for (const std::string sparse : {"--no-seek", "--sparse", "--sparse-version=0.0", "--sparse-version=0.1"}) {
      if (sparse.starts_with("--sparse-v") && !format.starts_with("p")) continue;
      CAPTURE(format);
      CAPTURE(sparse);
      const std::string tar = output_of({"tar", "--format=" + format, sparse, "-C", directory / "files", "-c", "."});
      const std::string file = Conversion{.blob = gzip(tar), .tar = tar}.run();
      const fs::path image = directory.write("layer.sqsh", file);
      const fs::path unpacked = directory / ("out-" + format + sparse);
      output_of({"unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-dest", unpacked, image});
      const auto actual = describe(unpacked);
      CHECK(actual.size() == expected.size());
      for (const auto& [name, text] : expected) {
        CAPTURE(name);
        CHECK(actual.contains(name));
        if (actual.contains(name)) CHECK(actual.at(name) == text);
      }
    }
  }
}

TEST_CASE("the same layer gives the same bytes, however compressed, cut and however many threads") {
  const std::string tar = large_tar();
  const std::string expected = Conversion{.blob = tar, .tar = tar, .threads = 1}.run();
  CHECK(expected.size() % 4096 == 0);
  for (const std::string& blob : {gzip(tar), zstd(tar), tar}) {
    for (const unsigned threads : {1u, 2u, 8u}) {
      for (const std::size_t piece : {1000u, 1u << 20}) {
        CHECK(Conversion{.blob = blob, .tar = tar, .piece_bytes = piece, .threads = threads}.run() == expected);
      }
    }
  }
}

TEST_CASE("layers converted side by side by one pool don't mix") {
  const std::string tar = large_tar();
  const std::string other = TarBuilder().add({.name = "f", .content = some_bytes(5'000'000, 9)}).finish();
  const std::string expected[] = {Conversion{.blob = tar, .tar = tar}.run(),
                                  Conversion{.blob = other, .tar = other}.run()};
  CompressorPool pool(3, 1);
  std::string actual[6];
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        const std::string& mine = i % 2 == 0 ? tar : other;
        MemorySource source(mine);
        const Fd output(::memfd_create("layer", MFD_CLOEXEC));
        convert_layer({source, Digest::of(mine), mine.size(), Digest::of(mine)}, output.get(), pool, {}, {}, nullptr);
        actual[i] = content_of(output.get());
      });
    }
  }
  for (int i = 0; i < 6; ++i) CHECK(actual[i] == expected[i % 2]);
}

TEST_CASE("an empty blob and an archive of nothing are empty layers") {
  const std::string nothing = Conversion{}.run();
  CHECK(nothing.substr(0, 4) == "hsqs");
  const std::string end(1024, '\0');
  CHECK(Conversion{.blob = gzip(end), .tar = end}.run() == nothing);
}

TEST_CASE("the diff_id covers what follows the archive's end") {
  const std::string tar = TarBuilder().add({.name = "f", .content = "x"}).finish() + std::string(3'000'000, '\7');
  Conversion{.blob = gzip(tar), .tar = tar}.run();
}

TEST_CASE("progress counts the compressed bytes") {
  const std::string tar = large_tar();
  ProgressItem item("layer", 0);
  const Conversion conversion{.blob = gzip(tar), .tar = tar, .progress = &item};
  conversion.run();
  CHECK(item.converted_bytes == conversion.blob.size());
}

TEST_CASE("hostile input: a blob that is not what its descriptor says is named with both digests") {
  const std::string tar = large_tar();
  const std::string blob = gzip(tar);
  const Digest wrong = Digest::of("something else");

  const std::string mismatch = error_of({.blob = blob, .tar = tar, .blob_digest = wrong});
  CHECK(contains(mismatch, wrong.to_string()));
  CHECK(contains(mismatch, Digest::of(blob).to_string()));

  const std::string diff = error_of({.blob = blob, .tar = tar, .diff_id = wrong});
  CHECK(contains(diff, Digest::of(blob).to_string()));
  CHECK(contains(diff, wrong.to_string()));
  CHECK(contains(diff, Digest::of(tar).to_string()));

  const Digest right = Digest::of(blob);
  const std::string shorter =
      error_of({.blob = blob.substr(0, 5000), .tar = tar, .blob_digest = right, .blob_bytes = blob.size()});
  CHECK(contains(shorter, "ends after 5000 of " + std::to_string(blob.size()) + " bytes"));
  CHECK(contains(shorter, right.to_string()));
  const std::string longer =
      error_of({.blob = blob + "more", .tar = tar, .blob_digest = right, .blob_bytes = blob.size()});
  CHECK(contains(longer, "longer than the " + std::to_string(blob.size()) + " bytes"));
}

TEST_CASE("hostile input: a wrong blob is called that, whatever its content does") {
  const std::string tar = large_tar();
  std::string blob = gzip(tar);
  blob[blob.size() / 2] ^= 0x55;
  const Digest right = Digest::of(gzip(tar));
  CHECK(contains(error_of({.blob = blob, .tar = tar, .blob_digest = right}), "is corrupt"));
  CHECK(contains(error_of({.blob = std::string(3'000'000, 'x'), .tar = tar, .blob_digest = right}), "is corrupt"));
  // The same bytes under their own digest: then it is the content.
  CHECK(contains(error_of({.blob = blob, .tar = tar}), "cannot unpack blob " + Digest::of(blob).to_string()));
  CHECK(contains(error_of({.blob = gzip(std::string(3'000'000, 'x'))}), "cannot read its tar"));
  CHECK(contains(error_of({.blob = blob.substr(0, 30)}), "cannot unpack blob"));
}

TEST_CASE("hostile input: what grows over the limits is refused with the setting's name") {
  const std::string bomb = gzip(std::string(20 << 20, '\0'));
  const auto bytes =
      thrown_by<Error>([&] { Conversion{.blob = bomb, .limits = {.max_uncompressed_bytes = 5u << 20}}.run(); });
  CHECK(contains(bytes.hint, "pull.max_layer_bytes"));
  CHECK(contains(bytes.message, Digest::of(bomb).to_string()));
  const auto entries = thrown_by<Error>([&] { Conversion{.blob = large_tar(), .limits = {.max_entries = 50}}.run(); });
  CHECK(contains(entries.hint, "pull.max_layer_entries"));
}

TEST_CASE("a failing source or output is the error, not what comes of it") {
  const std::string tar = large_tar();
  const auto break_off = [](std::size_t at) {
    if (at > 1'000'000) throw Error("the network is gone");
  };
  CHECK(error_of({.blob = tar, .tar = tar, .piece_bytes = 100'000, .before_read = break_off}) == "the network is gone");

  const Fd read_only = open_file("/dev/null", O_RDONLY);
  const Conversion conversion{.blob = tar, .tar = tar, .blob_digest = Digest::of("unread")};
  CHECK_THROWS_AS(conversion.run(read_only.get()), SysError);
}

TEST_CASE("a stop ends the conversion wherever it is") {
  const std::string tar = large_tar();
  const std::string blob = gzip(tar);
  for (const std::size_t after : {std::size_t{0}, std::size_t{1}, blob.size() / 2, blob.size()}) {
    std::stop_source stop;
    const auto request = [&](std::size_t at) {
      if (at >= after) stop.request_stop();
    };
    const Conversion conversion{
        .blob = blob, .tar = tar, .piece_bytes = 10'000, .stop = stop.get_token(), .before_read = request};
    CHECK_THROWS_AS(conversion.run(), Cancelled);
  }
}

TEST_CASE("a stop from outside ends a conversion that would never end") {
  // One member of a gzip stream over and over: zeros behind the archive's end.
  const std::string member = gzip(std::string(1 << 20, '\0'));
  class Endless final : public ByteSource {
   public:
    explicit Endless(const std::string& member) : member_(member) {}
    std::size_t read(std::span<std::byte> into) override {
      std::memcpy(into.data(), member_.data(), member_.size());
      return member_.size();
    }

   private:
    const std::string& member_;
  };
  std::stop_source stop;
  Endless source(member);
  CompressorPool pool(2, 1);
  const Fd output = memory_file();
  const std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.request_stop();
  });
  CHECK_THROWS_AS(convert_layer({source, Digest::of(""), ~0ull, Digest::of("")}, output.get(), pool,
                                {.max_uncompressed_bytes = ~0ull}, stop.get_token(), nullptr),
                  Cancelled);
}
