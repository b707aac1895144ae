#include "app/mount_option.hpp"

#include <doctest/doctest.h>
#include <sys/mount.h>

#include "base/error.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

using namespace mlctr;
using runtime::BindMount;

namespace {

std::string source_of(std::string_view text) {
  return std::get<BindMount>(parse_mount(text, "/here").source).source.string();
}

std::string target_of(std::string_view text) {
  return parse_mount(text, "/here").target;
}

}  // namespace

TEST_CASE("sources and targets") {
  CHECK(source_of("/data") == "/data");
  CHECK(target_of("/data") == "/data");
  CHECK(source_of("data:/mnt") == "/here/data");
  CHECK(source_of("./data/../x:/mnt") == "/here/x");
  CHECK(target_of("data") == "/here/data");
  CHECK(target_of("/data::ro") == "/data");
  CHECK(source_of("/with space:/mnt") == "/with space");
  CHECK(source_of("/a\\:b:/c\\:d") == "/a:b");
  CHECK(target_of("/a\\:b:/c\\:d") == "/c:d");
  CHECK(target_of("/data:/mnt/x/../y/") == "/mnt/y/");
}

TEST_CASE("options") {
  const auto mount = parse_mount("/data:/mnt:ro+nosuid+rslave+nofail+x-create=dir", "/");
  CHECK(mount.attributes == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
  CHECK(mount.propagation == MS_SLAVE);
  CHECK(mount.if_missing == runtime::IfMissing::skip);
  const auto plain = parse_mount("/data:/mnt:rbind+rw", "/");
  CHECK(plain.attributes == 0);
  CHECK(plain.if_missing == runtime::IfMissing::fail);
}

TEST_CASE("tmpfs and umount") {
  const auto tmpfs = parse_mount("tmpfs:/scratch:size=2M+noexec", "/");
  CHECK(std::get<runtime::TmpfsMount>(tmpfs.source).size_bytes == 2'000'000);
  CHECK((tmpfs.attributes & MOUNT_ATTR_NOEXEC) != 0);
  CHECK(tmpfs.target == "/scratch");
  CHECK(std::holds_alternative<runtime::Unmount>(parse_mount("umount:/tmp", "/").source));
}

TEST_CASE("a squashfs file is a directory unless it is to be the file") {
  const test::TemporaryDirectory directory;
  directory.write("data.sqsh", "hsqs and more");
  directory.write("other.sqsh", "not one");
  const auto is_image = [&](std::string_view text) {
    return std::holds_alternative<runtime::SquashfsMount>(parse_mount(text, directory.path()).source);
  };
  CHECK(is_image("data.sqsh:/data"));
  CHECK_FALSE(is_image("data.sqsh:/data:file"));
  CHECK_THROWS_AS(is_image("other.sqsh:/data"), mlctr::UsageError);
  CHECK_FALSE(is_image("other.sqsh:/data:file"));
  CHECK_FALSE(is_image("missing.sqsh:/data"));
  CHECK_FALSE(is_image("data.sqsh::file"));
  const auto asked = test::thrown_by<UsageError>([&] { is_image("data.sqsh"); });
  CHECK(asked.message == "--mount data.sqsh: where in the container?");
  CHECK(asked.hint == "--mount data.sqsh:/data shows what is in it there");
}

TEST_CASE("mistakes are told with the whole mount") {
  for (const std::string_view text : {"", ":/mnt", "/a:/b:ro:x", "/a:relative", "/a:/", "/a:/..", "/a:/x/../../y",
                                      "/a:/b:rx", "tmpfs", "umount", "tmpfs:/x:size=many", "/a:/b:size=1M",
                                      "/a:/b:suid", "/a:/b:dev", "/a:/b:exec", "type=bind,source=/a,target=/b"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_mount(text, "/"), UsageError);
  }
  CHECK(test::contains(test::thrown_by<UsageError>([] { parse_mount("/a:/b:rx", "/"); }).message,
                       "--mount /a:/b:rx: no such mount option: rx"));
  CHECK(test::contains(test::thrown_by<UsageError>([] { parse_mount("/a:/../b", "/"); }).message, "cross-device link"));
}
