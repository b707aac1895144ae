#include "image/platform.hpp"

#include <doctest/doctest.h>
#include <sys/utsname.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

int score(std::string_view wanted, std::string_view offered) {
  return platform_score(Platform::parse(wanted), Platform::parse(offered));
}

// As an index has it, unparsed.
int score_raw(std::string_view wanted, const Platform& offered) {
  return platform_score(Platform::parse(wanted), offered);
}

}  // namespace

TEST_CASE("platforms are parsed in every form people use") {
  CHECK(Platform::parse("amd64").to_string() == "linux/amd64");
  CHECK(Platform::parse("x86_64").to_string() == "linux/amd64");
  CHECK(Platform::parse("aarch64").to_string() == "linux/arm64");
  CHECK(Platform::parse("AArch64").to_string() == "linux/arm64");
  CHECK(Platform::parse("arm64/v8").to_string() == "linux/arm64/v8");
  CHECK(Platform::parse("linux/arm64/8").to_string() == "linux/arm64/v8");
  CHECK(Platform::parse("linux/arm/v7").to_string() == "linux/arm/v7");
  CHECK(Platform::parse("armhf").to_string() == "linux/arm/v7");
  CHECK(Platform::parse("linux/armel").to_string() == "linux/arm/v6");
  CHECK(Platform::parse("i686").to_string() == "linux/386");
  CHECK(Platform::parse("amd64/v3").to_string() == "linux/amd64/v3");
  CHECK(Platform::parse("windows/amd64").to_string() == "windows/amd64");
  CHECK(Platform::parse("ppc64le").to_string() == "linux/ppc64le");
}

TEST_CASE("what is no platform is refused with the form") {
  for (const std::string text :
       {"", "/", "linux", "linux/", "linux/quantum", "amd65", "linux/amd64/v3/x", "linux/amd64/../x", "amd64 "}) {
    CAPTURE(text);
    const auto thrown = thrown_by<UsageError>([&] { Platform::parse(text); });
    CHECK(contains(thrown.hint, "arm/v7"));
  }
}

TEST_CASE("this machine's platform is the one that the kernel names, without a level of its own") {
  utsname machine{};
  REQUIRE(::uname(&machine) == 0);
  CHECK(Platform::host() == Platform::parse(static_cast<const char*>(machine.machine)));
  CHECK(Platform::host().os == "linux");
}

// The cases of containerd/platforms' compare_test.go.
TEST_CASE("newer runs older, never the other way") {
  CHECK(score("arm/v7", "arm/v7") > score("arm/v7", "arm/v6"));
  CHECK(score("arm/v7", "arm/v6") > score("arm/v7", "arm/v5"));
  CHECK(score("arm/v7", "arm/v5") > 0);
  CHECK(score("arm/v6", "arm/v7") == 0);
  CHECK(score("arm/v5", "arm/v6") == 0);
  CHECK(score("amd64/v3", "amd64/v3") > score("amd64/v3", "amd64/v2"));
  CHECK(score("amd64/v3", "amd64/v2") > score("amd64/v3", "amd64"));
  CHECK(score("amd64/v3", "amd64/v4") == 0);
  CHECK(score("amd64", "amd64/v2") == 0);
  CHECK(score("arm64/v8.2", "arm64/v8.1") > 0);
  CHECK(score("arm64", "arm64/v8.1") == 0);
  CHECK(score("arm64/v9.0", "arm64/v8.5") > 0);  // ARMv9.0 is built on ARMv8.5
  CHECK(score("arm64/v9", "arm64/v8.6") == 0);
}

TEST_CASE("another architecture only where it runs, and last") {
  CHECK(score("amd64", "amd64") > score("amd64", "386"));
  CHECK(score("amd64", "386") > 0);
  CHECK(score("386", "amd64") == 0);
  CHECK(score("arm64", "arm64") > score("arm64", "arm/v8"));
  CHECK(score("arm64", "arm/v7") > score("arm64", "arm/v6"));
  CHECK(score("arm/v7", "arm64") == 0);
  CHECK(score("amd64", "arm64") == 0);
  CHECK(score("ppc64le", "ppc64le") > 0);
  CHECK(score("ppc64le", "s390x") == 0);
}

TEST_CASE("what goes without saying may be said") {
  CHECK(score("arm64", "arm64/v8") == score("arm64", "arm64"));
  CHECK(score("arm64/v8", "arm64") == score("arm64", "arm64"));
  CHECK(score("amd64", "amd64/v1") == score("amd64", "amd64"));
  CHECK(score_raw("arm", {"linux", "arm", "", ""}) == score("arm/v7", "arm/v7"));
  CHECK(score_raw("arm/v7", {"linux", "arm", "armv7", ""}) == score("arm/v7", "arm/v7"));  // as some old lists have it
  CHECK(score_raw("arm64", {"linux", "arm64", "armv8", ""}) > 0);
  CHECK(score_raw("amd64", {"Linux", "x86_64", "", ""}) > 0);
}

TEST_CASE("another system never runs") {
  CHECK(score_raw("amd64", {"windows", "amd64", "", "10.0.20348.2700"}) == 0);
  CHECK(score_raw("amd64", {"unknown", "unknown", "", ""}) == 0);
  CHECK(score_raw("amd64", {"", "", "", ""}) == 0);
}
