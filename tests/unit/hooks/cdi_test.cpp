#include "hooks/cdi.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <chrono>

#include "fake_host.hpp"
#include "hooks/chain.hpp"
#include "hooks/device_choice.hpp"
#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using test::contains;
using test::thrown_by;
using Texts = std::vector<std::string>;

namespace {

// As nvidia-ctk cdi generate writes it.
constexpr const char* k_nvidia = R"(---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
    - name: "0"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
    - name: "1"
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia1
    - name: all
      containerEdits:
        deviceNodes:
            - path: /dev/nvidia0
            - path: /dev/nvidia1
containerEdits:
    env:
        - NVIDIA_VISIBLE_DEVICES=void
    deviceNodes:
        - path: /dev/nvidiactl
    hooks:
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, create-symlinks, --link, "libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so",
                 --link, "../libnvidia-allocator.so.1::/usr/lib/x86_64-linux-gnu/gbm/nvidia-drm_gbm.so",
                 --link, "vdpau/libvdpau_nvidia.so.580.1::/usr/lib/x86_64-linux-gnu/libvdpau_nvidia.so",
                 --link, "/usr/bin/nvidia-smi::/usr/bin/smi"]
        - hookName: createContainer
          path: /usr/bin/nvidia-cdi-hook
          args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib/x86_64-linux-gnu, --folder,
                 /usr/lib/x86_64-linux-gnu/vdpau, --folder, /usr/lib]
          env: [NVIDIA_CTK_DEBUG=false]
    mounts:
        - {hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.1, containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.1,
           options: [ro, nosuid, nodev, rbind, rprivate]}
        - {hostPath: /usr/lib/x86_64-linux-gnu/vdpau/libvdpau_nvidia.so.580.1,
           containerPath: /usr/lib/x86_64-linux-gnu/vdpau/libvdpau_nvidia.so.580.1, options: [ro, nosuid, nodev, bind]}
        - {hostPath: /usr/lib/libcuda.so.580.1, containerPath: /usr/lib/libcuda.so.580.1, options: [ro, bind]}
        - {hostPath: /usr/bin/nvidia-smi, containerPath: /usr/bin/nvidia-smi, options: [ro, nosuid, nodev, bind]}
        - {hostPath: /lib/firmware/nvidia/580.1/gsp.bin, containerPath: /lib/firmware/nvidia/580.1/gsp.bin, options: [ro]}
        - {hostPath: /run/nvidia-persistenced/socket, containerPath: /run/nvidia-persistenced/socket,
           options: [nosuid, nodev, rbind, rprivate, noexec]}
)";

test::FakeHost& add_driver(test::FakeHost& host) {
  host.file("/etc/cdi/nvidia.yaml", k_nvidia);
  for (const char* node : {"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/run/nvidia-persistenced/socket"}) {
    host.file(node);
  }
  return host.program("/usr/bin/nvidia-smi")
      .library("/usr/lib/x86_64-linux-gnu/libcuda.so.580.1", "libcuda.so.1")
      .library("/usr/lib/x86_64-linux-gnu/vdpau/libvdpau_nvidia.so.580.1", "libvdpau_nvidia.so.1")
      .library("/usr/lib/libcuda.so.580.1", "libcuda.so.1", test::Machine::i386);
}

HookRequest asking(Texts devices) {
  HookRequest request;
  request.devices = std::move(devices);
  return request;
}

Texts devices_of(const Edits& edits) {
  Texts targets;
  for (const DeviceNode& node : edits.devices) targets.push_back(node.target);
  return targets;
}

Texts targets_of(const Edits& edits) {
  Texts targets;
  for (const runtime::Mount& mount : edits.mounts) targets.push_back(mount.target);
  return targets;
}

Texts links_of(const Edits& edits) {
  Texts links;
  for (const LinkEdit& link : edits.links) links.push_back(link.path + " -> " + link.target);
  return links;
}

// One device, "a", with these edits.
Edits plan(test::FakeHost& host, std::string_view edits, HookRequest request = asking({"v/c=a"})) {
  host.file("/etc/cdi/v.yaml", fmt::format("cdiVersion: 1.1.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n"
                                           "    {}\n",
                                           edits));
  return cdi_edits(host.view(), request);
}

}  // namespace

TEST_CASE("a driver that a CDI file describes ends where --gpus puts one") {
  test::FakeHost host;
  const Edits edits = cdi_edits(add_driver(host).view(), asking({"nvidia.com/gpu=1"}));
  const std::string driver = "/run/mlctr/driver";
  CHECK(devices_of(edits) == Texts{"/dev/nvidiactl", "/dev/nvidia1"});
  CHECK(targets_of(edits) == Texts{driver + "/lib32/libcuda.so.580.1", driver + "/bin/nvidia-smi",
                                   "/run/nvidia-persistenced/socket", driver + "/lib64/libcuda.so.580.1",
                                   driver + "/lib64/libvdpau_nvidia.so.580.1"});
  CHECK(edits.mounts[3].attributes == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  CHECK(links_of(edits) == Texts{driver + "/lib64/libcuda.so -> libcuda.so.1",
                                 driver + "/lib64/gbm/nvidia-drm_gbm.so -> ../libnvidia-allocator.so.1",
                                 driver + "/lib64/libvdpau_nvidia.so -> libvdpau_nvidia.so.580.1",
                                 driver + "/bin/smi -> nvidia-smi", driver + "/lib32/libcuda.so.1 -> libcuda.so.580.1",
                                 driver + "/lib64/libcuda.so.1 -> libcuda.so.580.1",
                                 driver + "/lib64/libvdpau_nvidia.so.1 -> libvdpau_nvidia.so.580.1"});
  REQUIRE(edits.libraries.size() == 3);
  CHECK(edits.libraries[0].architecture == runtime::LoaderArchitecture::i386);
  CHECK(edits.libraries[1].soname == "libcuda.so.1");
  CHECK(edits.libraries[1].path == driver + "/lib64/libcuda.so.580.1");
  CHECK(edits.programs.at(0).path == driver + "/bin");
  CHECK(edits.environment.at(0).name == "NVIDIA_VISIBLE_DEVICES");
  CHECK(edits.environment.at(0).value == "void");
}

TEST_CASE("a driver's files stay where the file has them where a setting says so") {
  test::FakeHost host;
  HookRequest request = asking({"nvidia.com/gpu=1"});
  request.settings.driver_lib_layout = DriverLayout::system;
  const Edits edits = cdi_edits(add_driver(host).view(), request);
  CHECK(std::ranges::count(targets_of(edits), "/usr/lib/x86_64-linux-gnu/libcuda.so.580.1") == 1);
  CHECK(edits.programs.empty());
  CHECK(edits.libraries.at(1).path == "/usr/lib/x86_64-linux-gnu/libcuda.so.580.1");
}

TEST_CASE("devices are applied in the order of the request, a file's own edits first and once") {
  test::FakeHost host;
  host.file("/dev/a").file("/dev/b").file("/dev/c").file(
      "/etc/cdi/v.yaml",
      "cdiVersion: 1.1.0\nkind: v/c\ncontainerEdits: {deviceNodes: [{path: /dev/c}], env: [A=file]}\ndevices:\n"
      "- {name: a, containerEdits: {deviceNodes: [{path: /dev/a}], env: [A=a]}}\n"
      "- {name: b, containerEdits: {deviceNodes: [{path: /dev/x, hostPath: /dev/b}], env: [A=b]}}\n");
  const Edits edits = cdi_edits(host.view(), asking({"v/c=b", "v/c=a", "v/c=b"}));
  CHECK(devices_of(edits) == Texts{"/dev/c", "/dev/x", "/dev/a"});
  CHECK(edits.devices[1].source == host.root() / "dev/b");
  Texts values;
  for (const auto& edit : edits.environment) values.push_back(*edit.value);
  CHECK(values == Texts{"file", "b", "a"});
}

TEST_CASE("directories are mounted before what is mounted in them") {
  test::FakeHost host;
  host.directory("/data").file("/data/x");
  const Edits edits = plan(host,
                           "mounts: [{hostPath: /data/x, containerPath: /opt/d/e/f}, {hostPath: /data, containerPath: "
                           "/opt/d}, {hostPath: /data, containerPath: /srv}, {hostPath: tmpfs, containerPath: /opt/t, "
                           "type: tmpfs, options: [nosuid, size=1m]}, {hostPath: /data/x, containerPath: /srv}]");
  CHECK(targets_of(edits) == Texts{"/srv", "/opt/d", "/opt/t", "/opt/d/e/f"});
  CHECK(std::get<runtime::BindMount>(edits.mounts[0].source).source == host.root() / "data/x");
  CHECK(std::holds_alternative<runtime::TmpfsMount>(edits.mounts[2].source));
}

TEST_CASE("what the host does not have, or nobody can do, is told with file and line") {
  test::FakeHost host;
  const auto refused = [&](std::string_view edits) { return thrown_by([&] { plan(host, edits); }).message; };
  CHECK(refused("deviceNodes: [{path: /dev/gone}]") == "/etc/cdi/v.yaml:6: /dev/gone is not on this host");
  CHECK(refused("mounts: [{hostPath: /gone, containerPath: /a}]") == "/etc/cdi/v.yaml:6: /gone is not on this host");
  CHECK(contains(refused("mounts: [{hostPath: a, containerPath: /a, type: ext4}]"), "v.yaml:6: a mount of type ext4"));
  CHECK(
      contains(refused("mounts: [{hostPath: /, containerPath: /a, options: [idmap]}]"), "unknown mount option idmap"));
  CHECK(contains(refused("mounts: [{hostPath: a, containerPath: /a}]"), "hostPath is not absolute"));
  const Edits rootless = plan(host, "{additionalGids: [7], netDevices: [{hostInterfaceName: a, name: b}]}");
  CHECK(rootless.warnings.size() == 2);
}

TEST_CASE("nothing is run on the host for a CDI file unless an admin allows it") {
  test::FakeHost host;
  host.program("/opt/vendor/hook");
  const auto thrown = thrown_by(
      [&] { plan(host, "hooks: [{hookName: createContainer, path: /opt/vendor/hook, args: [hook, x], env: [A=1]}]"); });
  CHECK(thrown.message == "/etc/cdi/v.yaml:6: the device wants /opt/vendor/hook to be run on the host");
  CHECK(contains(thrown.hint, fmt::format("allowed_hooks = [\"{}/opt/vendor/hook\"]", host.root().string())));
}

// The machine's own /bin/sh is root's, and so is all above it.
TEST_CASE("a hook that is allowed is run, with its arguments and nothing of its variables") {
  test::TemporaryDirectory directory;
  const HostView host("/");
  const std::filesystem::path shell = host.find("/bin/sh")->path;
  HookRequest request = asking({"v/c=a"});
  request.settings.cdi_directories = {directory.path()};
  const auto planned = [&](std::string_view hook) {
    directory.write("v.yaml", fmt::format("cdiVersion: 1.1.0\nkind: v/c\ndevices:\n- name: a\n  containerEdits:\n"
                                          "    hooks: [{{{}}}]\n",
                                          hook));
    return cdi_edits(host, request);
  };
  const char* hook = "hookName: createContainer, path: /bin/sh, args: [sh, -c, true], env: [A=1], timeout: 7";
  CHECK_THROWS_AS(planned(hook), Error);
  request.settings.cdi_allowed_hooks = {shell};
  const Edits edits = planned(hook);
  REQUIRE(edits.hooks.size() == 1);
  CHECK(edits.hooks[0].file == shell);
  CHECK(edits.hooks[0].arguments == Texts{"sh", "-c", "true"});
  CHECK(edits.hooks[0].timeout == std::chrono::seconds(7));
  CHECK(contains(edits.warnings.at(0).text, "v.yaml:6: a hook's env is left out"));
  CHECK(carried_out(edits).hooks.size() == 1);
  CHECK_FALSE(edits.empty());
  CHECK(contains(to_json(edits), "\"-c\""));
  CHECK(contains(thrown_by([&] { planned("hookName: poststop, path: /bin/sh"); }).message,
                 "wants to be run at poststop"));
}

TEST_CASE("a hook that others than root may change is not run") {
  test::FakeHost host;
  host.program("/opt/vendor/hook").program("/usr/bin/nvidia-cdi-hook");
  std::filesystem::permissions(host.root() / "opt/vendor/hook", std::filesystem::perms(0775));
  HookRequest request = asking({"v/c=a"});
  request.settings.cdi_allowed_hooks = {host.root() / "opt/vendor/hook", host.root() / "opt/vendor/none"};
  const auto refused = [&](std::string_view path) {
    return thrown_by(
        [&] { plan(host, fmt::format("hooks: [{{hookName: createContainer, path: {}}}]", path), request); });
  };
  CHECK(contains(refused("/opt/vendor/hook").message, "opt/vendor/hook is not run: "));
  CHECK(contains(refused("/opt/vendor/none").message, "to be run on the host"));
  std::filesystem::permissions(host.root() / "opt/vendor/hook", std::filesystem::perms(0755));
  std::filesystem::permissions(host.root() / "opt", std::filesystem::perms(0777));
  CHECK(contains(refused("/opt/vendor/hook").message, "opt/vendor/hook is not run: "));  // or its owner is not root
  // Another name for it leads to the same program, and a name that leads elsewhere is another program.
  host.link("/opt/other", "vendor/hook").link("/opt/vendor/none", "../../usr/bin/nvidia-cdi-hook");
  CHECK(contains(refused("/opt/other").message, "opt/vendor/hook is not run: "));
  CHECK(contains(refused("/opt/vendor/none").message, "to be run on the host"));
}

TEST_CASE("a hook of NVIDIA's that is not known is left out and told") {
  test::FakeHost host;
  const Edits edits =
      plan(host, "hooks: [{hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, new]}]");
  CHECK(contains(edits.warnings.at(0).text, "the hook new of NVIDIA's is not known"));
}

TEST_CASE("without a CDI file of theirs the vendors' own hooks know their devices") {
  test::FakeHost host;
  HookRequest request = asking({"nvidia.com/gpu=1", "amd.com/gpu=0"});
  CHECK(cdi_edits(host.view(), request).empty());
  CHECK(native_devices(host.view(), request).size() == 2);
  CHECK_FALSE(is_given_by_cdi(host.view(), request, {"nvidia.com", "gpu"}));
  add_driver(host);
  CHECK(native_devices(host.view(), request).size() == 1);
  CHECK(is_given_by_cdi(host.view(), request, {"nvidia.com", "gpu"}));
  CHECK(thrown_by([&] { cdi_edits(host.view(), asking({"nvidia.com/gpu=7"})); }).hint ==
        "there are: nvidia.com/gpu=0, nvidia.com/gpu=1, nvidia.com/gpu=all");
}

TEST_CASE("a broken file is told of where a device is asked for") {
  test::FakeHost host;
  add_driver(host).file("/etc/cdi/broken.json", "{\n\"cdiVersion\": 1");
  CHECK(cdi_edits(host.view(), {}).warnings.empty());
  const Edits edits = cdi_edits(host.view(), asking({"nvidia.com/gpu=0"}));
  CHECK(contains(edits.warnings.at(0).text, "a CDI file is not used: /etc/cdi/broken.json:"));
  // Also where the vendor's own hook is who does not know the device.
  test::FakeHost without_driver;
  without_driver.file("/etc/cdi/broken.json", "{\n\"cdiVersion\": 1");
  const test::Thrown thrown =
      thrown_by([&] { plan_edits(without_driver.view(), asking({"nvidia.com/gpu=a"}), hook_chain()); });
  CHECK(contains(thrown.hint, "a CDI file is not used: /etc/cdi/broken.json:"));
}

TEST_CASE("CDI names are taken wherever GPUs are named") {
  HookRequest request;
  request.environment.set("NVIDIA_VISIBLE_DEVICES", "v/c=a,1,v/c=b", "image");
  CHECK(requested_cdi_devices(request).size() == 2);
  request.gpus = "v/c=x";
  CHECK(requested_cdi_devices(request).at(0).text() == "v/c=x");
  request.gpus = "device=MIG-GPU-1/2/3";
  CHECK(requested_cdi_devices(request).empty());
  CHECK(is_for_cdi("v/c=x, v/c=y", {"nvidia.com", "gpu"}));
  CHECK_FALSE(is_for_cdi("v/c=x,1", {"nvidia.com", "gpu"}));
  CHECK_FALSE(is_for_cdi("nvidia.com/gpu=1", {"nvidia.com", "gpu"}));
  CHECK_FALSE(is_for_cdi("", {"nvidia.com", "gpu"}));
  CHECK(thrown_by<UsageError>([] { requested_cdi_devices(asking({"/dev/fuse"})); }).hint ==
        "a node of the host's: --mount /dev/fuse:/dev/fuse");
  CHECK_THROWS_AS(requested_cdi_devices(asking({"gpu0"})), UsageError);
}
