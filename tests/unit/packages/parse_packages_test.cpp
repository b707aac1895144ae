#include <doctest/doctest.h>

#include "packages/package.hpp"

using namespace mlctr::packages;

TEST_CASE("dpkg's status names what is installed, with its source") {
  const auto packages = parse_dpkg_status(
      "Package: libc6\nStatus: install ok installed\nSource: glibc (2.36)\nVersion: 2.36-9\n"
      "Description: x\n Package: not this\n\n"
      "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
      "Package: half\nVersion:\n\n\n"
      "Package: bare\r\nVersion: 1:2~rc1\r\n");
  REQUIRE(packages.size() == 2);
  CHECK(packages[0] == Package{"deb", "libc6", "2.36-9", "glibc (2.36)"});
  CHECK(packages[1] == Package{"deb", "bare", "1:2~rc1"});
}

TEST_CASE("apk's database names packages by letters") {
  const auto packages =
      parse_apk_installed("C:Q1x=\nP:musl\nV:1.2.4-r2\no:musl\nF:lib\n\nP:libcrypto3\nV:3.1\no:openssl\n");
  REQUIRE(packages.size() == 2);
  CHECK(packages[0] == Package{"apk", "musl", "1.2.4-r2"});
  CHECK(packages[1] == Package{"apk", "libcrypto3", "3.1", "openssl"});
}

TEST_CASE("Python's metadata ends where the README begins") {
  CHECK(parse_python_metadata("Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.0\n\nName: other\n", "") ==
        Package{"python", "numpy", "1.26.0"});
  CHECK(parse_python_metadata("Name: a\nVersion: 1\n",
                              R"({"url":"https://me:pw@host/a.git","vcs_info":{"commit_id":"abc"}})") ==
        Package{"python", "a", "1", "https://host/a.git@abc"});
  CHECK(parse_python_metadata("Name: a\nVersion: 1\n", "{\"url\":5}") == Package{"python", "a", "1"});
  CHECK(!parse_python_metadata("", ""));
  CHECK(!parse_python_metadata("Name: a\n", ""));
}

TEST_CASE("conda's records are JSON") {
  CHECK(parse_conda_record(R"({"name":"zlib","version":"1.3","build":"h0","channel":"conda-forge"})") ==
        Package{"conda", "zlib", "1.3=h0", "conda-forge"});
  CHECK(!parse_conda_record("[]"));
  CHECK(!parse_conda_record("{\"name\":1}"));
  CHECK(!parse_conda_record(std::string(100'000, '[')));
}
