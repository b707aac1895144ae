#include "squashfs/tar_reader.hpp"

#include <doctest/doctest.h>
#include <locale.h>

#include <algorithm>
#include <string>
#include <vector>

#include "squashfs/layer_error.hpp"
#include "tests/unit/squashfs/tar_builder.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr::squashfs;
using mlctr::test::contains;
using mlctr::test::TarBuilder;
using mlctr::test::thrown_by;
using Type = TarEntry::Type;

namespace {

struct Read {
  TarEntry entry;
  std::string content;  // holes as zeros
};

std::vector<Read> read_tar(const std::string& tar, std::size_t chunk_bytes = 1000) {
  std::size_t at = 0;
  TarReader reader([&]() -> std::span<const std::byte> {
    const std::size_t size = std::min(chunk_bytes, tar.size() - at);
    at += size;
    return std::as_bytes(std::span(tar)).subspan(at - size, size);
  });
  std::vector<Read> entries;
  while (const TarEntry* entry = reader.next()) {
    Read read{*entry, {}};
    while (const auto data = reader.read_data()) {
      read.content.resize(data->offset);
      read.content.append(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
    }
    entries.push_back(read);
  }
  return entries;
}

std::string name_of(const std::string& tar) {
  const auto entries = read_tar(tar);
  REQUIRE(entries.size() == 1);
  return entries[0].entry.path;
}

}  // namespace

TEST_CASE("names are the archive's bytes in every dialect and locale") {
  // Composed and decomposed é, Latin-1's é, and bytes that are no text at all.
  const std::string names[] = {"caf\xc3\xa9", "cafe\xcc\x81", "caf\xe9", "\xff\xfe\x01"};
  for (const char* locale : {"C", "C.UTF-8"}) {
    if (::setlocale(LC_ALL, locale) == nullptr) continue;
    for (const std::string& name : names) {
      CAPTURE(locale);
      CAPTURE(name);
      CHECK(name_of(TarBuilder().add({.name = name}).finish()) == name);
      CHECK(name_of(TarBuilder().add({.name = name, .magic = TarBuilder::gnu_magic()}).finish()) == name);
      CHECK(name_of(TarBuilder().add({.name = name, .magic = std::string(8, '\0')}).finish()) == name);
      CHECK(name_of(TarBuilder().pax({"path=" + name}).add({.name = "x"}).finish()) == name);
      CHECK(name_of(TarBuilder().pax({"hdrcharset=BINARY", "path=" + name}).add({.name = "x"}).finish()) == name);
      CHECK(name_of(TarBuilder().gnu_long('L', name).add({.name = "x"}).finish()) == name);
      const auto linked = read_tar(TarBuilder().pax({"linkpath=" + name}).add({.name = "s", .type = '2'}).finish());
      CHECK(linked.at(0).entry.link_target == name);
      const auto long_link =
          read_tar(TarBuilder().gnu_long('K', name).add({.name = "l", .type = '1', .link = "x"}).finish());
      CHECK(long_link.at(0).entry.link_target == name);
    }
  }
  ::setlocale(LC_ALL, "C");
}

TEST_CASE("long names come whole") {
  const std::string name = std::string(150, 'd') + "/" + std::string(200, 'f');
  CHECK(name_of(TarBuilder().pax({"path=" + name}).add({.name = "x"}).finish()) == name);
  CHECK(name_of(TarBuilder().gnu_long('L', name).add({.name = "x"}).finish()) == name);
}

TEST_CASE("metadata of every kind of entry is read") {
  TarBuilder tar;
  tar.add({.name = "f", .content = "text", .mode = 04755, .uid = 7, .gid = 8});
  tar.add({.name = "d/", .type = '5', .mtime = "00000000012"});
  tar.add({.name = "s", .type = '2', .link = "f"}).add({.name = "l", .type = '1', .link = "f"});
  tar.add({.name = "c", .type = '3', .major = 1, .minor = 3}).add({.name = "b", .type = '4', .major = 8});
  tar.add({.name = "p", .type = '6'});
  tar.pax({"uid=4000000000", "mtime=-12.5"}).add({.name = "n"});
  const auto entries = read_tar(tar.finish());
  REQUIRE(entries.size() == 8);
  CHECK(entries[0].content == "text");
  CHECK(entries[0].entry.permissions == 04755);
  CHECK(entries[0].entry.uid == 7);
  CHECK(entries[0].entry.gid == 8);
  CHECK(entries[1].entry.type == Type::directory);
  CHECK(entries[1].entry.mtime == 10);
  CHECK(entries[2].entry.type == Type::symlink);
  CHECK(entries[3].entry.type == Type::hard_link);
  CHECK(entries[3].entry.link_target == "f");
  CHECK(entries[4].entry.type == Type::character_device);
  CHECK(entries[4].entry.device_minor == 3);
  CHECK(entries[5].entry.type == Type::block_device);
  CHECK(entries[6].entry.type == Type::fifo);
  CHECK(entries[7].entry.uid == 4000000000);
  CHECK(entries[7].entry.mtime == -12);
}

TEST_CASE("a link is what its header's type says, though libarchive can't tell") {
  const std::string symlink = TarBuilder().pax({"linkpath=target"}).add({.name = "s", .type = '2'}).finish();
  const std::string old_go = TarBuilder().add({.name = "l", .type = '1', .link = "s", .mode = 0120777}).finish();
  for (const std::size_t chunk : {512u, 777u, 1024u, 4096u}) {
    CHECK(read_tar(symlink, chunk).at(0).entry.type == Type::symlink);
    CHECK(read_tar(symlink, chunk).at(0).entry.link_target == "target");
    CHECK(read_tar(old_go, chunk).at(0).entry.type == Type::hard_link);
    CHECK(read_tar(old_go, chunk).at(0).entry.link_target == "s");
  }
}

TEST_CASE("extended attributes come with binary values, the last of one name first") {
  const std::string capability("\x01\0\0\x02\0\0=\n", 8);
  const auto entries = read_tar(TarBuilder()
                                    .pax({"SCHILY.xattr.security.capability=" + capability, "SCHILY.xattr.user.a=1",
                                          "SCHILY.xattr.user.a=2", "LIBARCHIVE.xattr.user.b=aGk"})
                                    .add({.name = "f"})
                                    .finish());
  const XattrSet& xattrs = entries.at(0).entry.xattrs;
  const auto find = [&](std::string_view name) {
    return std::find_if(xattrs.begin(), xattrs.end(), [&](const auto& xattr) { return xattr.first == name; })->second;
  };
  CHECK(find("security.capability") == capability);
  CHECK(find("user.a") == "2");
  CHECK(find("user.b") == "hi");
}

TEST_CASE("archives may end without an end, with garbage behind it, or hold nothing") {
  CHECK(read_tar("").empty());
  CHECK(read_tar(std::string(1024, '\0')).empty());
  CHECK(read_tar(std::string(10240, '\0')).empty());
  const TarBuilder tar = TarBuilder().add({.name = "f", .content = "x"});
  CHECK(read_tar(tar.bytes()).size() == 1);
  CHECK(read_tar(tar.finish() + "garbage").size() == 1);
  CHECK(read_tar(tar.finish() + tar.finish()).size() == 1);
}

TEST_CASE("a hard link's content is read where pax gives it one") {
  const auto entries = read_tar(
      TarBuilder().pax({"comment=x"}).add({.name = "l", .type = '1', .content = "data", .link = "f"}).finish());
  CHECK(entries.at(0).entry.type == Type::hard_link);
  CHECK(entries.at(0).content == "data");
}

TEST_CASE("hostile input: damaged and truncated archives are refused") {
  const std::string tar =
      TarBuilder().add({.name = "f", .content = std::string(5000, 'x')}).add({.name = "g"}).finish();
  for (const std::size_t size : {1ul, 511ul, 513ul, 3000ul, 5700ul}) {
    CAPTURE(size);
    CHECK_THROWS_AS(read_tar(tar.substr(0, size)), LayerError);
  }
  std::string damaged = tar;
  damaged[5632 + 3] ^= 1;
  CHECK_THROWS_AS(read_tar(damaged), LayerError);
  CHECK_THROWS_AS(read_tar("this is no tar at all" + std::string(2000, 'x')), LayerError);
  CHECK_THROWS_AS(read_tar(TarBuilder().add({.name = "f", .size = "77777777777"}).finish()), LayerError);
  CHECK_THROWS_AS(read_tar(TarBuilder().pax({"size=-1"}).add({.name = "f"}).finish()), LayerError);
  CHECK_THROWS_AS(
      read_tar(TarBuilder().add({.name = "x", .type = 'x', .content = "nonsense"}).add({.name = "f"}).finish()),
      LayerError);
}

TEST_CASE("hostile input: headers without end are refused before they fill the memory") {
  TarBuilder tar;
  for (int i = 0; i < 40; ++i) tar.add({.name = "x", .type = 'x', .content = std::string(500, '\n')});
  CHECK_THROWS_AS(read_tar(tar.add({.name = "f"}).finish()), LayerError);
  // A GNU sparse 1.0 map of four million empty extents.
  std::string map = "4000000\n";
  while (map.size() < 16'000'000) map += "0\n0\n";
  const auto thrown = thrown_by<LayerError>([&] {
    read_tar(TarBuilder()
                 .pax({"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=10"})
                 .add({.name = "f", .content = map})
                 .finish());
  });
  CHECK(contains(thrown.message, "4 MiB"));
}

TEST_CASE("what the source throws comes through") {
  int reads = 0;
  const std::string tar = TarBuilder().add({.name = "f", .content = std::string(5000, 'x')}).finish();
  TarReader reader([&]() -> std::span<const std::byte> {
    if (++reads > 2) throw mlctr::Cancelled();
    return std::as_bytes(std::span(tar)).subspan(reads * 600 - 600, 600);
  });
  REQUIRE(reader.next() != nullptr);
  CHECK_THROWS_AS(while (reader.read_data()){}, mlctr::Cancelled);
}
