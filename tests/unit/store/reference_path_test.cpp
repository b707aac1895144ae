#include "store/reference_path.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using mlctr::reference_path;

TEST_CASE("an image reference's file lies where DESIGN says") {
  CHECK(reference_path("docker.io/library/python:3.8") == "docker.io/library/python/3.8.json");
  CHECK(reference_path("localhost:5000/a/b/c:latest") == "localhost%3A5000/a/b/c/latest.json");
  CHECK(reference_path("[::1]:5000/a:b") == "%5B%3A%3A1%5D%3A5000/a/b.json");
  CHECK(reference_path("ghcr.io/x@sha256:0f") == "ghcr.io/x/@sha256%3A0f.json");
  CHECK(reference_path("ghcr.io/x:1@sha256:0f") == "ghcr.io/x/1@sha256%3A0f.json");
  CHECK(reference_path("/data/my image.sqsh") == "_source/%2Fdata%2Fmy%20image.sqsh.json");
  CHECK(reference_path("oci:/data/layout:v1") == "_source/oci%3A%2Fdata%2Flayout%3Av1.json");
}

TEST_CASE("different references have different files, and none is where another has a directory") {
  const std::string long_tag(300, 't');
  const std::set<std::string> references{"a.io/x:1",
                                         "a.io/x:1.json",
                                         "a.io/x/1.json:1",
                                         "a.io/x/1:json",
                                         "a.io/x@sha256:1",
                                         "a.io/x:1@sha256:1",
                                         "a.io/x/y:1",
                                         "a.io:1/x:1",
                                         "_source/x:1",
                                         "/x",
                                         "/a.io/x:1",
                                         "oci:/a.io/x:1",
                                         "A.io/x:1",
                                         "a.io/x%3A1:1",
                                         "a.io/x:" + long_tag,
                                         "a.io/x:" + long_tag + "u",
                                         "a.io/" + long_tag + "/x:1",
                                         "%2Fx",
                                         "a.io/x/.json:1",
                                         "a.io/x/1.JSON:1"};
  std::set<std::string> files, directories;
  for (const std::string& reference : references) {
    const std::filesystem::path path = reference_path(reference);
    CHECK(files.insert(path.string()).second);
    for (auto parent = path.parent_path(); !parent.empty(); parent = parent.parent_path()) {
      directories.insert(parent.string());
    }
  }
  for (const std::string& file : files) CHECK_FALSE(directories.contains(file));
}

TEST_CASE("hostile input: no reference leaves references/ or makes a name that a filesystem refuses") {
  const std::string hostile[] = {"../../etc/passwd:x",
                                 "..",
                                 ".",
                                 "",
                                 "/",
                                 "//",
                                 "a//b",
                                 "a/",
                                 "a/..:..",
                                 "a/../../../b:c",
                                 "./x:y",
                                 std::string("a/b\0c:d", 7),
                                 "a/b:c\n",
                                 "a/:@",
                                 "a/b:../../x",
                                 "a/b@../../x",
                                 "\xff\xfe/\x80:\x81",
                                 "a/" + std::string(5000, '.') + ":" + std::string(5000, '/'),
                                 std::string(4000, '%') + "/" + std::string(4000, ':')};
  for (const std::string& reference : hostile) {
    CAPTURE(reference);
    const std::filesystem::path path = reference_path(reference);
    CHECK(path.is_relative());
    CHECK(path == path.lexically_normal());
    CHECK(path.extension() == ".json");
    for (const std::filesystem::path& part : path) {
      CHECK_FALSE(part.empty());
      CHECK(part != "..");
      CHECK(part != ".");
      CHECK(part.string().size() <= 255);
      CHECK(part.string().find_first_of(std::string("\0\n/", 3)) == std::string::npos);
    }
  }
}
