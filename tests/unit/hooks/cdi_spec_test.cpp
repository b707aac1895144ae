#include "hooks/cdi_spec.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "hooks/document.hpp"

using namespace mlctr;
using namespace mlctr::hooks;

namespace {

std::string refused(std::string_view text) {
  try {
    parse_cdi_spec(text);
  } catch (const DocumentError& error) {
    return fmt::format("{}: {}", error.line(), error.message());
  }
  FAIL("nothing was refused");
  return {};
}

// Whole but for what stands in the place of the edits of its device.
std::string with_edits(std::string_view edits, std::string_view version = "1.1.0") {
  return fmt::format("cdiVersion: {}\nkind: vendor.com/class\ndevices:\n- name: a\n  containerEdits:\n    {}\n",
                     version, edits);
}

CdiEdits edits_of(std::string_view edits) {
  return parse_cdi_spec(with_edits(edits)).devices.at(0).edits;
}

}  // namespace

TEST_CASE("a mount over the whole container is refused") {
  for (const char* path : {"/", "//", "/usr/.."}) {
    CAPTURE(path);
    const std::string edits = fmt::format("mounts: [{{hostPath: /etc, containerPath: {}}}]", path);
    CHECK(refused(with_edits(edits)) == "6: a mount's containerPath is the whole container");
  }
}

TEST_CASE("names of devices are what CDI's parser takes") {
  for (const char* name : {"nvidia.com/gpu=0", "vendor.com/class=GPU-1:2_3.4", "a/b=c", "foo.bar.baz/f-b_1.B=all"}) {
    CAPTURE(name);
    CHECK(CdiName::parse(name).value().text() == name);
  }
  for (const char* name :
       {"", "gpu", "nvidia.com/gpu", "nvidia.com=0", "/gpu=0", "nvidia.com/=0", "nvidia.com/gpu=", "1vendor/gpu=0",
        "vendor-/gpu=0", "vendor/1gpu=0", "a/b/c=d", "a/b=c=d", "a/b=-c", "a/b=c-", "a/b=c d", "/dev/null=1"}) {
    CAPTURE(name);
    CHECK_FALSE(CdiName::parse(name).has_value());
  }
}

TEST_CASE("all that a CDI file can say is read") {
  const CdiSpec spec = parse_cdi_spec(R"({
    "cdiVersion": "1.1.0", "kind": "vendor.com/class", "annotations": {"a": "b"},
    "devices": [
      {"name": "0", "annotations": {"x.y/z": "1"}, "containerEdits": {
        "env": ["A=1=2", "B="],
        "deviceNodes": [{"path": "/dev/a", "hostPath": "/dev/b", "type": "c", "major": 195, "minor": 0, "fileMode": 438,
                         "permissions": "rw", "uid": 0, "gid": 44}, {"path": "/dev/c"}],
        "mounts": [{"hostPath": "/lib/a", "containerPath": "/lib/b", "options": ["ro", "rbind"], "type": "none"}],
        "hooks": [{"hookName": "createContainer", "path": "/bin/h", "args": ["h", "x"], "env": ["C=1"], "timeout": 5}],
        "additionalGids": [0, 7], "intelRdt": {"closID": "x", "schemata": ["y"], "enableMonitoring": true},
        "netDevices": [{"hostInterfaceName": "eth1", "name": "net1"}]}}],
    "containerEdits": {"env": ["D=1"]}})");
  CHECK(spec.kind.text() == "vendor.com/class");
  CHECK(spec.edits.environment == std::vector<std::string>{"D=1"});
  const CdiEdits& edits = spec.devices.at(0).edits;
  CHECK(edits.environment == std::vector<std::string>{"A=1=2", "B="});
  CHECK(edits.nodes.at(0).host_path == "/dev/b");
  CHECK(edits.nodes.at(1).host_path == "/dev/c");
  CHECK(edits.mounts.at(0).options == std::vector<std::string>{"ro", "rbind"});
  CHECK(edits.hooks.at(0).arguments == std::vector<std::string>{"h", "x"});
  CHECK(edits.not_possible == std::vector<std::string>{"additionalGids", "intelRdt", "netDevices"});
}

TEST_CASE("an unknown field is an error wherever it stands") {
  CHECK(refused("cdiVersion: 1.1.0\nkind: a/b\nnew: 1\ndevices: [{name: c}]\n") ==
        "3: a CDI file has an unknown field, new");
  CHECK(refused(with_edits("mystery: 1")) == "6: containerEdits has an unknown field, mystery");
  for (const char* edits : {"deviceNodes: [{path: /dev/a, x: 1}]", "mounts: [{hostPath: /a, containerPath: /b, x: 1}]",
                            "hooks: [{hookName: poststop, path: /a, x: 1}]", "intelRdt: {x: 1}",
                            "netDevices: [{hostInterfaceName: a, name: b, x: 1}]"}) {
    CAPTURE(edits);
    CHECK(refused(with_edits(edits)).find("6: ") == 0);
    CHECK(refused(with_edits(edits)).find("unknown field, x") != std::string::npos);
  }
}

TEST_CASE("what must be there is, in the form it must have") {
  CHECK(refused("kind: a/b\ndevices: [{name: c}]\n").find("has no cdiVersion") != std::string::npos);
  CHECK(refused("cdiVersion: 1.1.0\ndevices: [{name: c}]\n").find("has no kind") != std::string::npos);
  CHECK(refused("cdiVersion: 1.1.0\nkind: a/b\n").find("no devices") != std::string::npos);
  CHECK(refused("cdiVersion: 1.1.0\nkind: a/b\ndevices: [{name: c}, {name: c}]\n").find("twice") != std::string::npos);
  CHECK(refused("cdiVersion: 1.1.0\nkind: ab\ndevices: [{name: c}]\n").find("2: ab is no kind") == 0);
  for (const char* edits : {"env: [A]",
                            "env: [=1]",
                            "env: A=1",
                            "env: [[A=1]]",
                            "deviceNodes: [{hostPath: /a}]",
                            "deviceNodes: [{path: a}]",
                            "deviceNodes: [{path: /a, type: x}]",
                            "deviceNodes: [{path: /a, permissions: x}]",
                            "deviceNodes: [{path: /a, major: '1'}]",
                            "deviceNodes: [{path: /a, gid: -1}]",
                            "mounts: [{containerPath: /b}]",
                            "mounts: [{hostPath: /a}]",
                            "mounts: [{hostPath: /a, containerPath: b}]",
                            "mounts: [{hostPath: '', containerPath: /b}]",
                            "hooks: [{hookName: never, path: /a}]",
                            "hooks: [{hookName: poststop, path: a}]",
                            "hooks: [{hookName: poststop, path: /a, timeout: 0}]",
                            "additionalGids: [x]",
                            "netDevices: [{name: b}]",
                            "mounts: [{hostPath: \"/a\\0b\", containerPath: /b}]"}) {
    CAPTURE(edits);
    CHECK_FALSE(refused(with_edits(edits)).empty());
  }
}

TEST_CASE("a version has what it brought, and no more") {
  CHECK(refused(with_edits("env: []", "1.2.0")).find("1: CDI version 1.2.0 is not known") == 0);
  CHECK_NOTHROW(parse_cdi_spec(with_edits("env: []", "v0.3.0")));
  struct Case {
    const char *edits, *before, *since;
  };
  for (const Case& each : {Case{"mounts: [{hostPath: /a, containerPath: /b, type: none}]", "0.3.0", "0.4.0"},
                           Case{"deviceNodes: [{path: /a, hostPath: /b}]", "0.4.0", "0.5.0"},
                           Case{"additionalGids: [7]", "0.6.0", "0.7.0"}, Case{"intelRdt: {}", "0.6.0", "0.7.0"},
                           Case{"intelRdt: {schemata: [a]}", "1.0.0", "1.1.0"},
                           Case{"netDevices: [{hostInterfaceName: a, name: b}]", "1.0.0", "1.1.0"}}) {
    CAPTURE(each.edits);
    CHECK(refused(with_edits(each.edits, each.before)).find(each.since) != std::string::npos);
    CHECK_NOTHROW(parse_cdi_spec(with_edits(each.edits, each.since)));
  }
  CHECK(refused("cdiVersion: 0.4.0\nkind: a/b\ndevices: [{name: '0'}]\n").find("0.5.0") != std::string::npos);
  CHECK(refused("cdiVersion: 0.5.0\nkind: a/b.c\ndevices: [{name: a}]\n").find("0.6.0") != std::string::npos);
  CHECK(refused("cdiVersion: 0.5.0\nkind: a/b\nannotations: {a: b}\ndevices: [{name: a}]\n").find("0.6.0") !=
        std::string::npos);
}

TEST_CASE("edits may be left out") {
  CHECK(edits_of("env:").environment.empty());
  CHECK(parse_cdi_spec("cdiVersion: 0.3.0\nkind: a/b\ndevices:\n- name: c\n").devices.at(0).name == "c");
}
