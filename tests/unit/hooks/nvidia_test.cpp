#include "hooks/nvidia.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "fake_host.hpp"
#include "hooks/chain.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using test::contains;
using test::FakeHost;

namespace {

// Minor is not index: the first on the bus has node 1.
FakeHost& add_three(FakeHost& host) {
  add_nvidia_module(host);
  add_nvidia_libraries(host);
  add_nvidia_gpu(host, "0000:1b:00.0", 1, "GPU-aaaa0000-0000-0000-0000-000000000001");
  add_nvidia_gpu(host, "0000:43:00.0", 0, "GPU-bbbb0000-0000-0000-0000-000000000002");
  return add_nvidia_gpu(host, "0000:c8:00.0", 2, "GPU-cccc0000-0000-0000-0000-000000000003");
}

HookRequest asks(std::string gpus) {
  HookRequest request;
  request.gpus = std::move(gpus);
  return request;
}

HookRequest with_image(std::vector<std::string> entries) {
  HookRequest request;
  request.environment.set_entries(entries, "image");
  return request;
}

std::vector<std::string> gpu_nodes(const Edits& edits) {
  std::vector<std::string> nodes;
  for (const DeviceNode& node : edits.devices) {
    if (node.target.starts_with("/dev/nvidia") && is_digit(node.target[11])) nodes.push_back(node.target);
  }
  return nodes;
}

std::vector<std::string> nodes_for(FakeHost& host, const HookRequest& request) {
  return gpu_nodes(nvidia_edits(host.view(), request));
}

bool mounts(const Edits& edits, std::string_view target) {
  return std::ranges::any_of(edits.mounts, [&](const auto& mount) { return mount.target == target; });
}

bool tells_loader(const Edits& edits, std::string_view soname) {
  return std::ranges::any_of(edits.libraries, [&](const auto& library) { return library.soname == soname; });
}

using Nodes = std::vector<std::string>;

}  // namespace

TEST_CASE("a GPU is meant by index, UUID, PCI id and count") {
  FakeHost host;
  add_three(host);
  CHECK(nodes_for(host, asks("all")) == Nodes{"/dev/nvidia1", "/dev/nvidia0", "/dev/nvidia2"});
  CHECK(nodes_for(host, asks("device=0")) == Nodes{"/dev/nvidia1"});
  CHECK(nodes_for(host, asks("\"device=0,2\"")) == Nodes{"/dev/nvidia1", "/dev/nvidia2"});
  CHECK(nodes_for(host, asks("device=2,0")) == Nodes{"/dev/nvidia1", "/dev/nvidia2"});
  CHECK(nodes_for(host, asks("0, 1")) == Nodes{"/dev/nvidia1", "/dev/nvidia0"});
  CHECK(nodes_for(host, asks("2")) == Nodes{"/dev/nvidia1", "/dev/nvidia0"});
  CHECK(nodes_for(host, asks("GPU-bbbb0000-0000-0000-0000-000000000002")) == Nodes{"/dev/nvidia0"});
  CHECK(nodes_for(host, asks("00000000:C8:00.0")) == Nodes{"/dev/nvidia2"});
  CHECK(nodes_for(host, asks("none")).empty());
  CHECK(tells_loader(nvidia_edits(host.view(), asks("none")), "libcuda.so.1"));
  CHECK(nvidia_edits(host.view(), asks("void")).empty());
  HookRequest device;
  device.devices = {"nvidia.com/gpu=1"};
  CHECK(nodes_for(host, device) == Nodes{"/dev/nvidia0"});
}

TEST_CASE("what can't be meant is refused, with what there is") {
  FakeHost host;
  add_three(host);
  const auto refused = [&](const HookRequest& request) {
    return test::thrown_by([&] { nvidia_edits(host.view(), request); });
  };
  const auto unknown = refused(asks("device=9"));
  CHECK(contains(unknown.message, "no GPU 9 here"));
  CHECK(contains(unknown.hint, "0 (GPU-aaaa"));
  CHECK(contains(refused(asks("device=MIG-x")).message, "no GPU MIG-x here"));
  CHECK(contains(refused(asks("7")).message, "7 GPUs are asked for, and 3 are here"));
  CHECK(contains(refused(asks("")).message, "which GPUs?"));
  CHECK(contains(refused(asks("0")).hint, "--gpus device=0"));
  CHECK(contains(refused(asks("all,capabilities=utilty")).message, "utilty"));
  CHECK(contains(refused(asks("0,,1")).message, "nothing between two commas"));
  CHECK(contains(refused(with_image({"NVIDIA_VISIBLE_DEVICES=0,void"})).message, "stands alone"));
}

TEST_CASE("the image's wish is heeded, where the host can") {
  FakeHost host, bare;
  add_three(host);
  CHECK(nodes_for(host, with_image({"NVIDIA_VISIBLE_DEVICES=all"})).size() == 3);
  CHECK(nodes_for(host, with_image({"NVIDIA_VISIBLE_DEVICES=void"})).empty());
  CHECK(nvidia_edits(host.view(), with_image({"NVIDIA_VISIBLE_DEVICES=void"})).empty());
  CHECK(nvidia_edits(host.view(), with_image({"NVIDIA_VISIBLE_DEVICES="})).empty());
  CHECK(nodes_for(host, with_image({"NVIDIA_VISIBLE_DEVICES= 1 , 2"})) == Nodes{"/dev/nvidia0", "/dev/nvidia2"});
  CHECK(nodes_for(host, with_image({"CUDA_VERSION=11.0.3"})).size() == 3);
  CHECK(nvidia_edits(host.view(), with_image({})).empty());
  CHECK(nvidia_edits(bare.view(), with_image({"NVIDIA_VISIBLE_DEVICES=all"})).empty());
  CHECK(contains(test::thrown_by([&] { nvidia_edits(bare.view(), asks("all")); }).message, "no NVIDIA driver"));
}

TEST_CASE("capabilities choose libraries and programs") {
  FakeHost host;
  add_three(host);
  const Edits both = nvidia_edits(host.view(), asks("all"));
  CHECK(tells_loader(both, "libcuda.so.1"));
  CHECK(tells_loader(both, "libcuda.so"));
  CHECK(tells_loader(both, "libnvidia-ml.so.1"));
  CHECK_FALSE(tells_loader(both, "libEGL_nvidia.so.0"));
  CHECK(mounts(both, "/run/mlctr/driver/lib64/libcuda.so.580.159.04"));
  CHECK(mounts(both, "/run/mlctr/driver/bin/nvidia-smi"));
  const Edits utility = nvidia_edits(host.view(), asks("all,capabilities=utility"));
  CHECK_FALSE(tells_loader(utility, "libcuda.so.1"));
  CHECK(tells_loader(utility, "libnvidia-ml.so.1"));
  CHECK_FALSE(std::ranges::any_of(utility.devices, [](const auto& node) { return node.target == "/dev/nvidia-uvm"; }));
  const Edits all = nvidia_edits(host.view(), asks("all,capabilities=all"));
  CHECK(tells_loader(all, "libEGL_nvidia.so.0"));
  CHECK(std::ranges::any_of(all.devices, [](const auto& node) { return node.target == "/dev/dri/renderD129"; }));
}

TEST_CASE("a driver is found where distributions and installers put it") {
  for (const char* directory : {"/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu/nvidia/current",
                                "/usr/local/nvidia/lib64", "/run/opengl-driver/lib"}) {
    CAPTURE(directory);
    FakeHost host;
    add_nvidia_module(host);
    add_nvidia_gpu(host, "0000:1b:00.0", 0, "GPU-1");
    add_nvidia_libraries(host, directory);
    CHECK(tells_loader(nvidia_edits(host.view(), asks("all")), "libcuda.so.1"));
  }
  FakeHost host;  // a driver container's
  add_nvidia_module(host);
  add_nvidia_gpu(host, "0000:1b:00.0", 0, "GPU-1");
  add_nvidia_libraries(host, "/run/nvidia/driver/usr/lib64");
  host.directory("/run/nvidia/driver/usr");
  CHECK(tells_loader(nvidia_edits(host.view(), asks("all")), "libcuda.so.1"));
}

TEST_CASE("libraries of another version, or another machine, are not the driver's") {
  FakeHost host;
  add_three(host);
  add_nvidia_libraries(host, "/usr/lib64", "535.104.05");
  host.library("/usr/lib64/libnvidia-nvvm.so.580.159.04", "libnvidia-nvvm.so.4", test::Machine::aarch64);
  host.file("/usr/lib64/libnvidia-cfg.so.580.159.04", "not ELF");
  const Edits edits = nvidia_edits(host.view(), asks("all"));
  CHECK(edits.warnings.empty());
  CHECK(mounts(edits, "/run/mlctr/driver/lib64/libcuda.so.580.159.04"));
  CHECK_FALSE(mounts(edits, "/run/mlctr/driver/lib64/libcuda.so.535.104.05"));
  CHECK(tells_loader(edits, "libnvidia-nvvm.so.4"));  // the other directory's
  FakeHost older;
  add_nvidia_module(older);
  add_nvidia_gpu(older, "0000:1b:00.0", 0, "GPU-1");
  add_nvidia_libraries(older, "/usr/lib64", "535.104.05");
  const Edits mixed = nvidia_edits(older.view(), asks("all"));
  REQUIRE(mixed.warnings.size() == 1);
  CHECK(contains(mixed.warnings[0].text, "the kernel's driver is 580.159.04, its libraries here are 535.104.05"));
}

TEST_CASE("requirements of an image are checked") {
  FakeHost host;
  add_nvidia_module(host, "535.104.05");
  add_nvidia_libraries(host, "/usr/lib64", "535.104.05");
  add_nvidia_gpu(host, "0000:1b:00.0", 0, "GPU-1");
  const auto refused = [&](const std::string& requirement) {
    HookRequest request = with_image({"NVIDIA_VISIBLE_DEVICES=all", requirement});
    return test::thrown_by([&] { nvidia_edits(host.view(), request); });
  };
  const auto driver = refused("NVIDIA_REQUIRE_DRIVER=driver>=570.26");
  CHECK(driver.message == "driver 535.104.05 < 570.26 required by the image");
  CHECK(contains(driver.hint, "update the driver or use an image for CUDA 12.2 or older"));
  CHECK(contains(refused("NVIDIA_REQUIRE_CUDA=cuda>=12.8 brand=unknown,driver>=470,driver<471").message,
                 "CUDA 12.2 < 12.8"));
  CHECK(contains(refused("NVIDIA_REQUIRE_X=driver<535").message, "driver 535.104.05 >= 535"));
  CHECK(contains(refused("NVIDIA_REQUIRE_X=driver<").message, "'driver<' is no condition"));
  const auto holds = [&](std::vector<std::string> entries) {
    entries.emplace_back("NVIDIA_VISIBLE_DEVICES=all");
    CHECK_FALSE(nvidia_edits(host.view(), with_image(entries)).empty());
  };
  holds({"NVIDIA_REQUIRE_CUDA=cuda>=12.8 brand=tesla,driver>=535,driver<536"});
  holds({"NVIDIA_REQUIRE_CUDA=cuda>=9.0"});
  holds({"NVIDIA_REQUIRE_CUDA=cuda>=13.0", "NVIDIA_DISABLE_REQUIRE=1"});
  holds({"NVIDIA_REQUIRE_FOO=foo>=3"});
}

TEST_CASE("a Slurm step sees what it was given") {
  FakeHost host;
  add_three(host);
  HookRequest request;
  request.job.set_entries({"SLURM_JOB_ID=1", "SLURM_STEP_GPUS=0,2"}, "host");
  CHECK(nodes_for(host, request) == Nodes{"/dev/nvidia0", "/dev/nvidia2"});
  const Edits edits = nvidia_edits(host.view(), request);
  REQUIRE(edits.renumbered.size() == 1);
  CHECK(edits.renumbered[0].numbers == std::vector<std::pair<unsigned, unsigned>>{{1, 0}, {2, 1}});
  HookRequest unreadable;
  unreadable.job.set_entries({"SLURM_STEP_GPUS=gpu:x"}, "host");
  unreadable.environment.set_entries({"NVIDIA_VISIBLE_DEVICES=all"}, "image");
  CHECK(nvidia_edits(host.view(), unreadable).empty());
  request.gpus = "device=0";  // node 1, which is another job's
  CHECK(
      contains(test::thrown_by([&] { nvidia_edits(host.view(), request); }).message, "not among those the Slurm step"));
}

TEST_CASE("a count begins with what the job looks at") {
  FakeHost host;
  add_three(host);
  HookRequest request = asks("1");
  request.job.set_entries({"CUDA_VISIBLE_DEVICES=2"}, "host");
  CHECK(nodes_for(host, request) == Nodes{"/dev/nvidia2"});
}

TEST_CASE("slices of a GPU come with their capability nodes") {
  FakeHost host;
  add_three(host);
  host.file("/proc/driver/nvidia/capabilities/gpu1/mig/gi3/access")
      .file("/proc/driver/nvidia/capabilities/gpu1/mig/gi3/ci0/access");
  host.file("/proc/driver/nvidia-caps/mig-minors", "config 1\nmonitor 2\ngpu1/gi3/access 30\ngpu1/gi3/ci0/access 31\n");
  host.file("/dev/nvidia-caps/nvidia-cap30").file("/dev/nvidia-caps/nvidia-cap31");
  const Edits edits = nvidia_edits(host.view(), asks("0:0"));
  CHECK(gpu_nodes(edits) == Nodes{"/dev/nvidia1"});
  for (const char* node : {"/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap31"}) {
    CHECK(std::ranges::any_of(edits.devices, [&](const auto& each) { return each.target == node; }));
  }
  CHECK(mounts(edits, "/proc/driver/nvidia/capabilities/gpu1/mig/gi3/ci0/access"));
}

TEST_CASE("in the host's own /dev what was not asked for is hidden") {
  FakeHost host;
  add_three(host);
  HookRequest request = asks("device=0");
  request.device_directory = runtime::DeviceDirectory::hosts;
  const Edits edits = nvidia_edits(host.view(), request);
  CHECK(edits.devices.empty());
  std::vector<std::string> hidden;
  for (const auto& node : edits.hidden) hidden.push_back(node.path);
  CHECK(std::ranges::find(hidden, "/dev/nvidia0") != hidden.end());
  CHECK(std::ranges::find(hidden, "/dev/nvidia2") != hidden.end());
  CHECK(std::ranges::find(hidden, "/dev/nvidia1") == hidden.end());
}

TEST_CASE("what the kernel shows of the driver is that of the chosen GPUs, and makes no nodes") {
  FakeHost host;
  add_three(host);
  const Edits edits = nvidia_edits(host.view(), asks("device=1"));
  CHECK(mounts(edits, "/proc/driver/nvidia/gpus/0000:43:00.0"));
  CHECK_FALSE(mounts(edits, "/proc/driver/nvidia/gpus/0000:1b:00.0"));
  CHECK(contains(to_json(edits), "ModifyDeviceFiles: 0"));
}

TEST_CASE("an error names its hook, and a part its origin") {
  FakeHost host;
  add_three(host);
  CHECK(
      contains(test::thrown_by([&] { plan_edits(host.view(), asks("device=9")); }).message, "nvidia: --gpus device=9"));
  const Edits edits = plan_edits(host.view(), asks("all"));
  CHECK(edits.mounts[0].target == k_driver_directory);
  CHECK(edits.devices[0].origin == "nvidia");
}
