#include "runtime/binary_format.hpp"

#include <doctest/doctest.h>

#include "temporary_directory.hpp"

using namespace mlctr;
using runtime::can_run_architecture;

namespace {

// As the kernel shows what qemu-user-static registers.
constexpr const char* k_arm64 =
    "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n"
    "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
constexpr const char* k_s390x =
    "enabled\ninterpreter /usr/bin/qemu-s390x-static\nflags: OCF\noffset 0\n"
    "magic 7f454c4602020100000000000000000000020016\nmask ffffffffffffff00fffffffffffffffffffeffff\n";

}  // namespace

TEST_CASE("the processor's own programs need no interpreter") {
  const test::TemporaryDirectory none;
  CHECK(can_run_architecture("amd64", "amd64", none.path()));
  CHECK(can_run_architecture("386", "amd64", none.path()));
  CHECK(can_run_architecture("arm", "arm64", none.path()));
  CHECK_FALSE(can_run_architecture("arm64", "amd64", none.path()));
  CHECK_FALSE(can_run_architecture("amd64", "arm64", none / "missing"));
  CHECK(can_run_architecture("loong64", "amd64", none.path()));  // nobody can tell
}

TEST_CASE("an interpreter is found by the header it was registered for") {
  const test::TemporaryDirectory binfmt;
  binfmt.write("status", "enabled\n");
  binfmt.write("qemu-aarch64", k_arm64);
  CHECK(can_run_architecture("arm64", "amd64", binfmt.path()));
  CHECK_FALSE(can_run_architecture("s390x", "amd64", binfmt.path()));
  CHECK_FALSE(can_run_architecture("ppc64le", "amd64", binfmt.path()));
  binfmt.write("anything", k_s390x);
  CHECK(can_run_architecture("s390x", "amd64", binfmt.path()));
  binfmt.write("qemu-aarch64", "disabled" + std::string(k_arm64).substr(7));
  CHECK_FALSE(can_run_architecture("arm64", "amd64", binfmt.path()));
}

TEST_CASE("entries of other kinds are none") {
  const test::TemporaryDirectory binfmt;
  binfmt.write("python3.11", "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n");
  binfmt.write("jar", "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n");
  binfmt.write("empty", "");
  binfmt.write("garbage", "enabled\noffset 0\nmagic zz\nmask");
  CHECK_FALSE(can_run_architecture("arm64", "amd64", binfmt.path()));
}
