#include "hooks/cdi_catalogue.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "fake_host.hpp"
#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using test::contains;
using test::thrown_by;

namespace {

const std::vector<std::filesystem::path> k_directories{"/etc/cdi", "/var/run/cdi"};

std::string spec(std::string_view kind, std::string_view device) {
  return fmt::format("cdiVersion: 0.5.0\nkind: {}\ndevices:\n- name: '{}'\n", kind, device);
}

CdiCatalogue read(const test::FakeHost& host) {
  return read_cdi_catalogue(host.view(), k_directories);
}

CdiName name(std::string_view text) {
  return CdiName::parse(text).value();
}

}  // namespace

TEST_CASE("a broken file does not keep the others from being used") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a"))
      .file("/etc/cdi/b.yaml", "cdiVersion: 0.5.0\nkind: v/c\nwrong: 1\ndevices: [{name: b}]\n")
      .file("/etc/cdi/c.json", "{")
      .file("/etc/cdi/d.yaml", "")
      .file("/etc/cdi/e.txt", "no CDI file")
      .directory("/etc/cdi/f.yaml")
      .link("/etc/cdi/g.yaml", "nowhere");
  const CdiCatalogue catalogue = read(host);
  REQUIRE(catalogue.files.size() == 1);
  REQUIRE(catalogue.broken.size() == 5);
  CHECK(catalogue.broken[0].text() == "/etc/cdi/b.yaml:3: a CDI file has an unknown field, wrong");
  CHECK(catalogue.broken[2].text() == "/etc/cdi/d.yaml: there is nothing in it");
  CHECK(read(test::FakeHost()).broken.empty());
}

TEST_CASE("the later directory wins; twice in one is unusable") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a"))
      .file("/run/cdi/b.yaml", spec("v/c", "a"))
      .link("/var/run", "/run")
      .file("/etc/cdi/c.yaml", spec("v/c", "c"))
      .file("/etc/cdi/d.yaml", spec("v/c", "c"));
  const CdiCatalogue catalogue = read(host);
  const std::vector<CdiName> names{name("v/c=a")};
  CHECK(resolve_cdi_devices(catalogue, names).at(0).file->path == "/var/run/cdi/b.yaml");
  const std::vector<CdiName> twice{name("v/c=c")};
  const auto thrown = thrown_by([&] { resolve_cdi_devices(catalogue, twice); });
  CHECK(thrown.message == "v/c=c is defined more than once: /etc/cdi/c.yaml:4, /etc/cdi/d.yaml:4");
}

TEST_CASE("one directory by two names is read once") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a")).link("/var/run/cdi", "/etc/cdi");
  CHECK(read(host).files.size() == 1);
}

TEST_CASE("all names that nobody defines are told, and why that may be") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a")).file("/etc/cdi/b.yaml", "kind: [");
  const CdiCatalogue catalogue = read(host);
  const std::vector<CdiName> names{name("v/c=x"), name("v/c=a"), name("w/c=y")};
  const auto thrown = thrown_by([&] { resolve_cdi_devices(catalogue, names); });
  CHECK(contains(thrown.message, "no such device: v/c=x, w/c=y; not read: /etc/cdi/b.yaml:"));
  CHECK(thrown.hint == "there are: v/c=a");
  const auto none = thrown_by([&] { resolve_cdi_devices(read(test::FakeHost()), names); });
  CHECK(contains(none.hint, "nvidia-ctk cdi generate"));
}

TEST_CASE("a file that others may write is not used") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a"));
  const auto file = host.root() / "etc/cdi/a.yaml";
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  CHECK(read(host).files.empty());
  CHECK(contains(read(host).broken.at(0).text(), "/etc/cdi/a.yaml: not used: everybody may write it"));
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  CHECK(read(host).files.size() == 1);
  if (::geteuid() != 0) return;  // the rest takes root
  REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
  CHECK(contains(read(host).broken.at(0).text(), "to uid 65534"));
}

TEST_CASE("a file of more than 4 MiB is not read") {
  test::FakeHost host;
  host.file("/etc/cdi/a.yaml", spec("v/c", "a") + "#" + std::string(4u << 20, 'x'));
  CHECK(contains(read(host).broken.at(0).text(), "larger than 4 MiB"));
}
