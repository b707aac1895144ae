#include <doctest/doctest.h>

#include <map>

#include "packages/package.hpp"

using namespace mlctr::packages;

TEST_CASE("packages are found wherever their managers leave them") {
  const std::string site = "/usr/lib/python3/dist-packages/";
  const std::map<std::string, std::string> contents{
      {"/lib/apk/db/installed", "P:musl\nV:1\n"},
      {"/opt/conda/conda-meta/a.json", R"({"name":"a","version":"1"})"},
      {"/opt/conda/conda-meta/history", "x"},
      {site + "b-2.dist-info/METADATA", "Name: b\nVersion: 2\n"},
      {site + "b-2.dist-info/direct_url.json", R"({"url":"file:///w/b.whl"})"},
      {site + "c.egg-info", "Name: c\nVersion: 3\n"},
      {site + "setuptools/_vendor/d-1.dist-info/METADATA", "Name: d\nVersion: 1\n"},
      {site + "e-1.dist-info/METADATA", "nothing"},
      {"/usr/lib/sysimage/rpm/rpmdb.sqlite", "SQLite"},
      {"/var/lib/dpkg/status", "Package: f\nVersion: 1\n\nPackage: f\nVersion: 1\n"},
      {"/var/lib/dpkg/status.d/g", "Package: g\nVersion: 1\n"},
      {"/var/lib/dpkg/status.d/g.md5sums", "Package: no\nVersion: 1\n"}};
  std::vector<std::string> files;
  for (const auto& [path, text] : contents) files.push_back(path);
  const PackageList list =
      find_packages(files, [&](const std::string& path, std::uint64_t) -> std::optional<std::string> {
        const auto file = contents.find(path);
        return file == contents.end() ? std::nullopt : std::optional(file->second);
      });
  CHECK(list.packages == std::vector<Package>{{"apk", "musl", "1"},
                                              {"conda", "a", "1"},
                                              {"deb", "f", "1"},
                                              {"deb", "g", "1"},
                                              {"python", "b", "2", "file:///w/b.whl"},
                                              {"python", "c", "3"}});
  CHECK(list.unread == std::vector<std::string>{site + "e-1.dist-info/METADATA", "/usr/lib/sysimage/rpm/rpmdb.sqlite"});
}
