#include "store/lock_kind.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include <string>

#include "base/error.hpp"
#include "tests/unit/temporary_directory.hpp"

using namespace mlctr;

namespace {

constexpr const char* k_mountinfo =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "90 22 0:51 / /lustre/a rw,noatime - lustre 10.0.0.1@o2ib:/a rw,localflock,lazystatfs\n"
    "91 22 0:52 / /lustre/b rw shared:7 master:3 - lustre 10.0.0.1@o2ib:/b rw,flock,lazystatfs\n"
    "92 22 0:53 / /home rw,relatime - nfs4 server:/home rw,vers=4.2,hard,local_lock=none,addr=10.0.0.2\n"
    "93 22 0:54 / /old rw,relatime - nfs server:/old rw,vers=3,nolock,local_lock=all,addr=10.0.0.2\n"
    "94 22 0:55 / /with\\040space rw - nfs server:/x rw,vers=4.1,local_lock=flock\n"
    "97 22 0:57 / /three rw - nfs server:/y rw,vers=3,hard,mountvers=3,local_lock=none\n"
    "95 22 0:56 / /remote rw - fuse.sshfs me@host: rw,user_id=0\n"
    "96 22\n"
    "\n";

LockKind kind_of(unsigned minor_number) {
  return lock_kind_of_mount(k_mountinfo, makedev(0, minor_number));
}

}  // namespace

TEST_CASE("locks that only one node would see, or that outlive a node, are not trusted") {
  CHECK(kind_of(51) == LockKind::lease);
  CHECK(kind_of(54) == LockKind::lease);
  CHECK(kind_of(56) == LockKind::lease);
  CHECK(kind_of(57) == LockKind::lease);
}

TEST_CASE("locks that all nodes see are used") {
  CHECK(lock_kind_of_mount(k_mountinfo, makedev(254, 0)) == LockKind::open_file);
  CHECK(kind_of(52) == LockKind::open_file);
  CHECK(kind_of(53) == LockKind::open_file);
  CHECK(kind_of(55) == LockKind::open_file);  // flock(2) is kept local there, fcntl(2) is not
  CHECK(kind_of(99) == LockKind::open_file);
  CHECK(lock_kind_of_mount("", makedev(0, 51)) == LockKind::open_file);
}

TEST_CASE("MLCTR_LOCKS forces a kind, and must name one") {
  const test::TemporaryDirectory directory;
  ::setenv("MLCTR_LOCKS", "lease", 1);
  CHECK(choose_lock_kind(directory.path()) == LockKind::lease);
  ::setenv("MLCTR_LOCKS", "flock", 1);
  CHECK_THROWS_AS(choose_lock_kind(directory.path()), UsageError);
  ::unsetenv("MLCTR_LOCKS");
}
