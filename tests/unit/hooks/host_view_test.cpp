#include "hooks/host_view.hpp"

#include <doctest/doctest.h>

#include "fake_host.hpp"

using namespace mlctr;
using namespace mlctr::hooks;

TEST_CASE("links of a machine lead where they would if its root were ours") {
  test::FakeHost host;
  host.file("/usr/lib/real.so", "x").link("/lib", "/usr/lib").link("/up.so", "../../../lib/real.so");
  const HostView view = host.view();
  CHECK(view.find("/lib/real.so")->path == host.root() / "usr/lib/real.so");
  CHECK(view.find("/up.so")->path == host.root() / "usr/lib/real.so");
  CHECK(view.find("/lib/real.so")->kind == HostFileKind::regular);
  CHECK(view.find("/lib")->kind == HostFileKind::directory);
  CHECK(view.link_target("/lib") == "/usr/lib");
  CHECK_FALSE(view.link_target("/usr/lib").has_value());
  CHECK_FALSE(view.find("/none").has_value());
}

TEST_CASE("a directory of the machine is a root of its own") {
  test::FakeHost host;
  host.file("/run/nvidia/driver/usr/lib64/libcuda.so.1", "x").link("/run/nvidia/driver/lib64", "/usr/lib64");
  const HostView driver = host.view().below("/run/nvidia/driver");
  CHECK(driver.find("/lib64/libcuda.so.1")->path == host.root() / "run/nvidia/driver/usr/lib64/libcuda.so.1");
  CHECK_THROWS(host.view().below("/none"));
}

TEST_CASE("names are in the order of the numbers in them") {
  test::FakeHost host;
  for (const char* node : {"/dev/nvidia10", "/dev/nvidia2", "/dev/nvidia0", "/dev/nvidiactl"}) host.file(node);
  CHECK(host.view().list("/dev") == std::vector<std::string>{"nvidia0", "nvidia2", "nvidia10", "nvidiactl"});
  CHECK(host.view().list("/none").empty());
  CHECK(is_before_by_number("a2", "a02b"));
  CHECK_FALSE(is_before_by_number("a", "a"));
  CHECK(is_before_by_number("a02", "a2"));  // something decides, one way
  CHECK_FALSE(is_before_by_number("a2", "a02"));
}

TEST_CASE("what is too large or no file reads as empty") {
  test::FakeHost host;
  host.file("/small", "12345").directory("/directory");
  CHECK(host.view().read("/small") == "12345");
  CHECK(host.view().read("/small", 5) == "12345");
  CHECK(host.view().read("/small", 4).empty());
  CHECK(host.view().read("/directory").empty());
  CHECK(host.view().read("/none").empty());
}
