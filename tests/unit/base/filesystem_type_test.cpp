#include "base/filesystem_type.hpp"

#include <doctest/doctest.h>

using namespace mlctr;

TEST_CASE("a mount's type is found by its id, whatever optional fields there are") {
  constexpr const char* k_mounts =
      "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "122 22 0:40 / /home rw,relatime shared:7 master:3 - nfs4 server:/home rw,vers=4.2\n"
      "31 22 0:41 / /with\\040space rw - fuse.sshfs x@y:/ rw\n";
  CHECK(filesystem_type_of_mount(k_mounts, 22) == "ext4");
  CHECK(filesystem_type_of_mount(k_mounts, 122) == "nfs4");
  CHECK(filesystem_type_of_mount(k_mounts, 31) == "fuse.sshfs");
  CHECK(filesystem_type_of_mount(k_mounts, 2) == "");
}

TEST_CASE("the kernel names what is there") {
  CHECK(filesystem_type("/proc") == "proc");
  CHECK(filesystem_type("/no/such/path") == "");
}
