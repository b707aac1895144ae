#include "runtime/fstab.hpp"

#include <doctest/doctest.h>
#include <mntent.h>
#include <sys/mount.h>

#include <cstdio>
#include <memory>

#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::runtime;
using test::contains;

namespace {

const FstabPlace k_place{.file = "x.fstab", .rootfs = "/run/root", .directory = "/here"};

Mount plan(std::string_view line) {
  const std::vector<std::string> host{"ENROOT_ROOTFS=/run/root", "DATA=/data set"};
  FstabMounts mounts = plan_fstab(line, lookup_in(host), k_place);
  REQUIRE(mounts.before_hooks.size() + mounts.after_hooks.size() == 1);
  return mounts.before_hooks.empty() ? mounts.after_hooks[0] : mounts.before_hooks[0];
}

std::string bind_source(const Mount& mount) {
  return std::get<BindMount>(mount.source).source.string();
}

std::string refused(std::string_view line) {
  return test::thrown_by([&] { plan_fstab(line, {}, k_place); }).message;
}

}  // namespace

TEST_CASE("what may be left out of a line is put in") {
  CHECK(bind_source(plan("/src")) == "/src");
  CHECK(plan("/src").target == "/src");
  CHECK(plan("/src").if_no_target == IfNoTarget::make);
  CHECK(plan("/src bind").if_no_target == IfNoTarget::fail);
  CHECK(plan("/src /dst").target == "/dst");
  CHECK(plan("/src /dst bind,ro").attributes == MOUNT_ATTR_RDONLY);
  CHECK(plan("/src x-create=dir,bind,nofail").if_missing == IfMissing::skip);
  CHECK(std::get<KernelMount>(plan("tmpfs /tmp").source).filesystem == "tmpfs");
  CHECK(std::get<KernelMount>(plan("none /dev/pts devpts").source).filesystem == "devpts");
  CHECK(bind_source(plan("rel /dst")) == "/here/rel");
  CHECK(plan("/src dst").target == "/dst");
}

TEST_CASE("passes are told, where a field is missing too") {
  const auto passes =
      plan_fstab("/a /a none bind 0 -1\n/b /b none bind 0 0\n/c /c none bind 0 1\n/d /d none bind -1\n/e /e bind 2 0\n",
                 {}, k_place);
  REQUIRE(passes.before_hooks.size() == 2);
  REQUIRE(passes.after_hooks.size() == 1);
  CHECK(passes.before_hooks[1].target == "/d");
  CHECK(passes.after_hooks[0].target == "/b");
}

TEST_CASE("escapes are what getmntent takes") {
  const std::string line = "/a\\040b\\011c /d\\134e\\\\f none bind,ro 0 0\n";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fmemopen(const_cast<char*>(line.data()), line.size(), "r"), fclose);
  const mntent* expected = getmntent(file.get());
  REQUIRE(expected != nullptr);
  const Mount found = plan(line);
  CHECK(bind_source(found) == expected->mnt_fsname);
  CHECK(found.target == expected->mnt_dir);
}

TEST_CASE("variables are put into fields, whatever is in them") {
  CHECK(bind_source(plan("${DATA} /d bind")) == "/data set");
  CHECK(contains(refused("\"\" /d\n/x /d bind,bad\n"), "x.fstab:2: no such mount option: bad"));
  CHECK(contains(test::thrown_by([&] { plan_fstab("${NONE} /d bind", lookup_in({}), k_place); }).message, "not set"));
}

TEST_CASE("what lies below the rootfs means the container's own") {
  CHECK(std::get<ContainerTree>(plan("${ENROOT_ROOTFS}/data /data none x-create=dir,bind").source).path == "/data");
  CHECK(std::get<ContainerTree>(plan("${ENROOT_ROOTFS} /again rbind,x-create=dir").source).path == "/");
  CHECK(bind_source(plan("/run/rootless /d")) == "/run/rootless");
  CHECK(std::get<MovedMount>(plan("${ENROOT_ROOTFS}/a /b none x-move").source).path == "/a");
  CHECK(bind_source(plan("${ENROOT_ROOTFS}/../secret /d")) == "/run/secret");
  CHECK(contains(refused("/a /b none x-move"), "x-move"));
  const FstabPlace odd{.file = "f", .rootfs = "/run//x/../root", .directory = "/"};
  const auto mounts = plan_fstab("/run//x/../root/data /data bind", {}, odd).after_hooks;
  CHECK(std::get<ContainerTree>(mounts.at(0).source).path == "/data");
}

TEST_CASE("other actions on mounts") {
  CHECK(std::holds_alternative<Unmount>(plan("none /proc none x-detach,nofail").source));
  CHECK(std::holds_alternative<ChangedMount>(plan("none /mnt none remount,bind,ro").source));
  CHECK(plan("none /mnt none rslave").propagation == MS_SLAVE);
  const Mount tmpfs = plan("tmpfs /t tmpfs x-create=dir,size=1m,ro,rw,nosuid,noatime,x-systemd.idle=1 0 0");
  CHECK(tmpfs.attributes == MOUNT_ATTR_NOSUID);
  CHECK(std::get<KernelMount>(tmpfs.source).options.back() == std::pair<std::string, std::string>("size", "1m"));
}

TEST_CASE("refused lines say which and why") {
  CHECK(contains(refused("# c\n\n/a ../../b bind"), "x.fstab:3: the target ../../b leads out"));
  CHECK(contains(refused("/a / bind"), "root itself"));
  CHECK(contains(refused("tmpfs"), "root itself"));
  CHECK(contains(refused("/a /b none defaults"), "neither"));
  CHECK(contains(refused("/a /b c d e f"), "x.fstab:1: it has more fields"));
  CHECK(contains(refused(std::string_view("/a\0 /b", 6)), "NUL"));
}
