#include "squashfs/tar_record.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "base/error.hpp"
#include "tests/unit/squashfs/layer_conversion.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;
namespace fs = std::filesystem;

namespace {

struct Converted {
  Fd layer = memory_file();
  Fd record = memory_file();
  RecordOutcome outcome = RecordOutcome::none;
};

Converted convert(const std::string& tar, std::size_t piece_bytes = 1u << 20) {
  Converted made;
  MemorySource source(tar, piece_bytes);
  CompressorPool pool(2, 1);
  made.outcome = convert_layer({source, Digest::of(tar), tar.size(), Digest::of(tar), made.record.get()},
                               made.layer.get(), pool, {}, {}, nullptr);
  return made;
}

std::string replay(const Converted& made) {
  const Reader reader(made.layer.get(), "layer");
  std::string tar;
  replay_tar(
      made.record.get(), "record", reader,
      [&](std::span<const std::byte> bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); },
      {});
  return tar;
}

void check_comes_back(const std::string& tar) {
  const Converted made = convert(tar);
  REQUIRE(made.outcome == RecordOutcome::written);
  const std::string again = replay(made);
  CHECK(again.size() == tar.size());
  CHECK(Digest::of(again) == Digest::of(tar));
}

// The program's own tar of a tree with all that it knows, in a format of its choice.
std::string gnu_tar(const TemporaryDirectory& root, const std::string& format, std::vector<std::string> more = {}) {
  std::vector<std::string> command{"tar", "--format=" + format, "-C", (root / "files").string()};
  command.insert(command.end(), more.begin(), more.end());
  command.insert(command.end(), {"-cf", "-", "."});
  return output_of(command);
}

void make_recorded_files(const TemporaryDirectory& root) {
  root.write("files/empty", "");
  root.write("files/etc/small", "small");
  root.write("files/etc/copy", "small");
  root.write("files/lib/large", some_bytes(700'000, 1));
  root.write("files/lib/same", some_bytes(700'000, 1));
  root.write("files/lib/zeros", std::string(400'000, '\0'));
  for (int i = 0; i < 200; ++i)
    root.write("files/many/" + std::to_string(i), some_bytes(unsigned(i) * 31, unsigned(i)));
  fs::create_hard_link(root / "files/lib/large", root / "files/hard");
  fs::create_symlink("etc/small", root / "files/soft");
}

}  // namespace

TEST_CASE("a tar comes back byte for byte, whatever made it") {
  const TemporaryDirectory root;
  make_recorded_files(root);
  check_comes_back(gnu_tar(root, "v7"));
  check_comes_back(gnu_tar(root, "ustar"));
  check_comes_back(gnu_tar(root, "gnu"));
  root.write("files/" + std::string(120, 'd') + "/" + std::string(140, 'f'), "long");
  fs::create_symlink(std::string(180, 't'), root / "files/far");
  check_comes_back(gnu_tar(root, "gnu"));
  check_comes_back(gnu_tar(root, "pax"));
  const fs::path sparse = root.write("files/lib/sparse", some_bytes(5000, 3));
  fs::resize_file(sparse, 3'000'000);
  check_comes_back(gnu_tar(root, "gnu", {"--sparse"}));
  for (const char* version : {"0.0", "0.1", "1.0"}) {
    check_comes_back(gnu_tar(root, "pax", {"--sparse", std::string("--sparse-version=") + version}));
  }
}

TEST_CASE("what a layer does not show is in its record") {
  TarBuilder tar;
  tar.add({.name = "twice", .content = some_bytes(300'000, 1)});
  tar.add({.name = "twice", .content = some_bytes(200'000, 2)});
  tar.add({.name = "small", .content = "first"});
  tar.add({.name = "small", .content = "second"});
  tar.add({.name = "replaced/", .type = '5'}).add({.name = "replaced/file", .content = "gone"});
  tar.add({.name = "replaced", .type = '2', .link = "small"});
  tar.add({.name = ".wh.hidden", .content = "a whiteout with a content"});
  tar.add({.name = ".wh..wh.plnk/1", .content = some_bytes(5000, 4)});
  tar.add({.name = "././dots//file", .content = "x"});
  check_comes_back(tar.finish());
  check_comes_back(tar.bytes());  // without an end
  check_comes_back(tar.finish() + std::string(8192, '\0'));
  check_comes_back(tar.finish() + "and what somebody left behind it");
  check_comes_back(TarBuilder().finish());
}

TEST_CASE("a tar comes back that arrived in small pieces") {
  TarBuilder tar;
  for (unsigned i = 0; i < 40; ++i) tar.add({.name = "f" + std::to_string(i), .content = some_bytes(i * 97, i)});
  tar.pax({"size=5", "SCHILY.xattr.user.a=1"}).add({.name = "sized", .content = "12345", .size = "00000000000"});
  const std::string text = tar.finish();
  const Converted made = convert(text, 1);
  REQUIRE(made.outcome == RecordOutcome::written);
  CHECK(replay(made) == text);
}

TEST_CASE("no record where it is anybody's guess what follows a header") {
  TarBuilder tar;
  tar.add({.name = "target", .content = "12345"});
  tar.pax({"path=link"}).add({.name = "link", .type = '1', .content = "12345", .link = "target"});
  CHECK(convert(tar.finish()).outcome == RecordOutcome::none);
}

TEST_CASE("a record takes little room") {
  TarBuilder tar;
  for (unsigned i = 0; i < 2000; ++i) {
    tar.add({.name = "usr/lib/python3/module" + std::to_string(i) + ".py", .content = some_bytes(4000, i)});
  }
  const Converted made = convert(tar.finish());
  REQUIRE(made.outcome == RecordOutcome::written);
  CHECK(file_size(made.record.get(), "record") < tar.bytes().size() / 100);
}

TEST_CASE("a record cut short or changed is refused, or makes another tar") {
  TarBuilder tar;
  for (unsigned i = 0; i < 50; ++i) tar.add({.name = "f" + std::to_string(i), .content = some_bytes(i * 7000, i)});
  const std::string text = tar.finish();
  const Converted made = convert(text);
  const std::string record = content_of(made.record.get());
  for (std::size_t at = 0; at < record.size(); at += 7) {
    Converted broken;
    broken.layer = Fd(::dup(made.layer.get()));
    std::string changed = record;
    changed[at] = static_cast<char>(changed[at] ^ 0x15);
    write_all(broken.record.get(), std::as_bytes(std::span(changed)), "record");
    try {
      (void)replay(broken);
    } catch (const Error&) {
    }
    Converted cut;
    cut.layer = Fd(::dup(made.layer.get()));
    write_all(cut.record.get(), std::as_bytes(std::span(record)).first(at), "record");
    CHECK_THROWS_AS(replay(cut), Error);
  }
}
