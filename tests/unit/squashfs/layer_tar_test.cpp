#include "squashfs/layer_tar.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/squashfs/layer_conversion.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

namespace {

std::string tar_of(const std::string& layer) {
  const Fd file = memory_file();
  write_all(file.get(), std::as_bytes(std::span(layer)), "layer");
  const Reader reader(file.get(), "layer");
  std::string tar;
  write_layer_tar(
      reader,
      [&](std::span<const std::byte> bytes) { tar.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); },
      {});
  const LayerTarSummary summary = summarize_layer_tar(reader, {});
  CHECK(summary.bytes == tar.size());
  CHECK(summary.diff_id == Digest::of(tar));
  return tar;
}

std::string layer_of(const std::string& tar) {
  return Conversion{.blob = tar, .tar = tar}.run();
}

// Everything that a layer can say, in no order.
TarBuilder sample_layer() {
  TarBuilder tar;
  tar.add({.name = "z/", .type = '5', .mode = 01777, .uid = 7, .gid = 8});
  tar.add({.name = "z/file", .content = some_bytes(300'000, 1), .mode = 04755, .uid = 1000, .gid = 100});
  tar.add({.name = "a-link", .type = '1', .link = "z/file"});
  tar.add({.name = "z/small", .content = "small"});
  tar.add({.name = "implied/below", .content = "x"});
  tar.add({.name = "soft", .type = '2', .link = "z/file"});
  tar.add({.name = "fifo", .type = '6'});
  tar.add({.name = "null", .type = '3', .major = 1, .minor = 3});
  tar.add({.name = "disk", .type = '4', .major = 8, .minor = 300});
  tar.add({.name = "z/.wh.gone"});
  tar.add({.name = "opaque/", .type = '5'});
  tar.add({.name = "opaque/.wh..wh..opq"});
  tar.add({.name = "lower", .type = '1', .link = "usr/lib/of-a-lower-layer"});
  tar.pax({"path=" + std::string(120, 'd') + "/" + std::string(140, 'f'), "uid=3000000000"});
  tar.add({.name = "short", .content = "long name"});
  tar.pax({"linkpath=" + std::string(180, 't')});
  tar.add({.name = "far", .type = '2', .link = "cut"});
  tar.pax({"SCHILY.xattr.user.note=line\nbreak", "SCHILY.xattr.security.capability=" + std::string("\1\0\0\2", 4)});
  tar.add({.name = "caf\xc3\xa9\xff", .content = "attributes"});
  return tar;
}

}  // namespace

TEST_CASE("a layer's tar says what the layer says, and gives the same layer again") {
  const std::string layer = layer_of(sample_layer().finish());
  const std::string tar = tar_of(layer);
  const std::string again = layer_of(tar);
  CHECK(tar_of(again) == tar);
  // Byte for byte once the contents lie in the tar's order.
  CHECK(layer_of(tar_of(again)) == again);
}

TEST_CASE("the order of a tar's members does not count") {
  TarBuilder one, other;
  one.add({.name = "d/", .type = '5'}).add({.name = "d/a", .content = "1"}).add({.name = "b", .content = "2"});
  other.add({.name = "b", .content = "2"}).add({.name = "d/", .type = '5'}).add({.name = "d/a", .content = "1"});
  CHECK(tar_of(layer_of(one.finish())) == tar_of(layer_of(other.finish())));
}

TEST_CASE("GNU tar reads a layer's tar") {
  const TemporaryDirectory root;
  const std::string tar = tar_of(layer_of(sample_layer().finish()));
  root.write("layer.tar", tar);
  const std::string listing =
      output_of({"tar", "--numeric-owner", "--quoting-style=literal", "-tvf", (root / "layer.tar").string()});
  const auto has = [&](std::string_view text) {
    CHECK_MESSAGE(listing.find(text) != listing.npos, text, " in:\n", listing);
  };
  has("drwxrwxrwt 7/8 ");
  has("a-link\n");
  has("hrw");
  has("z/file link to a-link\n");
  has("soft -> z/file\n");
  has("far -> " + std::string(180, 't'));
  has("prw-r--r-- ");
  has("crw-r--r-- 0/0             1,3 ");
  has("brw-r--r-- 0/0           8,300 ");
  has("z/.wh.gone\n");
  has("opaque/.wh..wh..opq\n");
  has("lower link to usr/lib/of-a-lower-layer\n");
  has(std::string(120, 'd') + "/" + std::string(140, 'f'));
  has("3000000000/0");
  CHECK(listing.find("implied/\n") == listing.npos);
  CHECK(output_of({"tar", "-xOf", (root / "layer.tar").string(), "a-link"}) == some_bytes(300'000, 1));
}

TEST_CASE("holes and contents of every size are whole in a layer's tar") {
  TarBuilder tar;
  for (const std::size_t size : {0, 1, 511, 512, 513, 131'071, 131'072, 131'073, 262'144, 400'000}) {
    tar.add({.name = "f" + std::to_string(1'000'000 + size), .content = some_bytes(size, unsigned(size))});
  }
  tar.add({.name = "zeros", .content = std::string(1'000'000, '\0')});
  const std::string in_order = tar.finish();
  CHECK(Digest::of(tar_of(layer_of(in_order))) == Digest::of(tar_of(layer_of(tar_of(layer_of(in_order))))));
  CHECK(tar_of(layer_of(in_order)).find(some_bytes(400'000, 400'000)) != std::string::npos);
}
