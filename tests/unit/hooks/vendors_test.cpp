// AMD's, Intel's and InfiniBand's nodes, which need nothing else of the host.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "fake_host.hpp"
#include "hooks/amdgpu.hpp"
#include "hooks/infiniband.hpp"
#include "hooks/intel.hpp"
#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using test::contains;
using test::thrown_by;
using Texts = std::vector<std::string>;

namespace {

// Two GPUs behind two CPUs; the minors are in another order than the places.
test::FakeHost& add_amd(test::FakeHost& host) {
  const char* nodes = "/sys/class/kfd/kfd/topology/nodes";
  host.file("/dev/kfd");
  for (const char* cpu : {"0", "1"}) {
    host.file(fmt::format("{}/{}/properties", nodes, cpu), "cpu_cores_count 64\nsimd_count 0\ndrm_render_minor 0\n");
  }
  host.file(fmt::format("{}/2/properties", nodes),
            "simd_count 440\nlocation_id 49408\ndomain 0\ndrm_render_minor 129\nunique_id 10173229331953612613\n");
  host.file(fmt::format("{}/10/properties", nodes),
            "simd_count 440\nlocation_id 768\ndomain 1\ndrm_render_minor 128\nunique_id 0\n");
  return host.file("/dev/dri/renderD128").file("/dev/dri/renderD129");
}

test::FakeHost& add_intel(test::FakeHost& host) {
  for (const char* number : {"0", "1"}) {
    const std::string render = fmt::format("renderD{}", 128 + std::stoi(number)), card = fmt::format("card{}", number);
    const std::string device = fmt::format("/sys/devices/pci0000:00/0000:{}8:00.0", number);
    host.file(device + "/vendor", "0x8086\n")
        .file(device + "/drm/" + card + "/x")
        .file(device + "/drm/" + render + "/x");
    host.link(fmt::format("/sys/class/drm/{}/device", render), "../../.." + device.substr(4));
    host.file("/dev/dri/" + render).file("/dev/dri/" + card);
  }
  return host.file("/dev/dri/card9");  // of another vendor
}

test::FakeHost& add_fabric(test::FakeHost& host) {
  for (const char* number : {"0", "1"}) {
    host.file(fmt::format("/dev/infiniband/uverbs{}", number));
    host.file(fmt::format("/sys/class/infiniband_verbs/uverbs{}/ibdev", number), fmt::format("mlx5_{}\n", number));
    host.file(fmt::format("/sys/class/infiniband/mlx5_{}/node_type", number));
  }
  return host.file("/dev/infiniband/rdma_cm");
}

Texts device_nodes_of(const Edits& edits) {
  Texts targets;
  for (const DeviceNode& node : edits.devices) targets.push_back(node.target);
  return targets;
}

Texts hidden_of(const Edits& edits) {
  Texts paths;
  for (const HiddenNode& node : edits.hidden) paths.push_back(node.path);
  return paths;
}

HookRequest with_gpus(std::string_view list) {
  HookRequest request;
  request.gpus = std::string(list);
  return request;
}

HookRequest with_device(std::string_view name) {
  HookRequest request;
  request.devices = {std::string(name)};
  return request;
}

// A variable of the job's, which the program has too.
void set_job_variable(HookRequest& request, const char* name, const char* value) {
  request.job.set(name, value, "host");
  request.environment.set(name, value, "host");
}

}  // namespace

TEST_CASE("AMD's GPUs are found by the topology, in ROCm's order") {
  test::FakeHost host;
  const auto gpus = list_amd_gpus(add_amd(host).view());
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].node == "renderD129");
  CHECK(gpus[0].uuid == "GPU-8d2e922d65adf745");
  CHECK(gpus[0].bus == "0000:c1:00.0");
  CHECK(gpus[1].node == "renderD128");
  CHECK(gpus[1].bus == "0001:03:00.0");
}

TEST_CASE("AMD's GPUs come when they are asked for") {
  test::FakeHost host;
  const HostView view = add_amd(host).view();
  CHECK(amdgpu_edits(view, {}).empty());
  CHECK(device_nodes_of(amdgpu_edits(view, with_gpus("all"))) ==
        Texts{"/dev/kfd", "/dev/dri/renderD129", "/dev/dri/renderD128"});
  CHECK(device_nodes_of(amdgpu_edits(view, with_gpus("device=1"))) == Texts{"/dev/kfd", "/dev/dri/renderD128"});
  CHECK(device_nodes_of(amdgpu_edits(view, with_gpus("1"))) == Texts{"/dev/kfd", "/dev/dri/renderD129"});
  CHECK(device_nodes_of(amdgpu_edits(view, with_device("amd.com/gpu=1"))) == Texts{"/dev/kfd", "/dev/dri/renderD128"});
  CHECK(device_nodes_of(amdgpu_edits(view, with_gpus("none"))).empty());
  HookRequest image;
  image.environment.set("AMD_VISIBLE_DEVICES", "0000:c1:00.0", "image");
  CHECK(device_nodes_of(amdgpu_edits(view, image)) == Texts{"/dev/kfd", "/dev/dri/renderD129"});
  const auto thrown = thrown_by([&] { amdgpu_edits(view, with_gpus("device=7")); });
  CHECK(thrown.message == "no AMD GPU 7");
  CHECK(contains(thrown.hint, "0 (GPU-8d2e922d65adf745, 0000:c1:00.0), 1 (0001:03:00.0)"));
}

TEST_CASE("without an AMD GPU only who asked for one is told") {
  test::FakeHost host;
  CHECK(amdgpu_edits(host.view(), with_gpus("all")).empty());  // for NVIDIA's hook to refuse
  CHECK(
      contains(thrown_by([&] { amdgpu_edits(host.view(), with_device("amd.com/gpu=0")); }).message, "no AMD GPU here"));
  HookRequest image;
  image.environment.set("AMD_VISIBLE_DEVICES", "all", "image");
  CHECK(amdgpu_edits(host.view(), image).empty());
}

TEST_CASE("a job's AMD GPUs are counted anew where it gets fewer") {
  test::FakeHost host;
  const HostView view = add_amd(host).view();
  HookRequest request;
  request.job.set("SLURM_JOB_ID", "7", "host");
  request.job.set("SLURM_STEP_GPUS", "1", "host");
  set_job_variable(request, "ROCR_VISIBLE_DEVICES", "1");
  const Edits edits = amdgpu_edits(view, request);
  CHECK(device_nodes_of(edits) == Texts{"/dev/kfd", "/dev/dri/renderD128"});
  REQUIRE(edits.renumbered.size() == 1);
  runtime::Environment environment = request.environment;
  runtime::renumber(environment, edits.renumbered);
  CHECK(environment.value("ROCR_VISIBLE_DEVICES") == "0");
  request.job.set("SLURM_STEP_GPUS", "0,1", "host");
  CHECK(amdgpu_edits(view, request).renumbered.empty());
}

TEST_CASE("in a container with all of the host's /dev the other GPUs are hidden") {
  test::FakeHost host;
  HookRequest request = with_gpus("device=0");
  CHECK(hidden_of(amdgpu_edits(add_amd(host).view(), request)).empty());
  request.device_directory = runtime::DeviceDirectory::hosts;
  CHECK(hidden_of(amdgpu_edits(host.view(), request)) == Texts{"/dev/dri/renderD128"});
}

TEST_CASE("Intel's GPUs come with their places on the bus") {
  test::FakeHost host;
  const HostView view = add_intel(host).view();
  CHECK(intel_edits(view, {}).empty());
  const Edits edits = intel_edits(view, with_gpus("device=1"));
  CHECK(device_nodes_of(edits) == Texts{"/dev/dri/renderD129", "/dev/dri/card1"});
  REQUIRE(edits.links.size() == 2);
  CHECK(edits.links[0].path == "/dev/dri/by-path/pci-0000:18:00.0-render");
  CHECK(edits.links[0].target == "../renderD129");
  HookRequest job;
  job.job.set("SLURM_JOB_ID", "7", "host");
  set_job_variable(job, "ZE_AFFINITY_MASK", "1");
  CHECK(device_nodes_of(intel_edits(view, job)).size() == 4);
  CHECK(intel_edits(view, job).renumbered.empty());
  job.gpus = "device=1";
  CHECK(intel_edits(view, job).renumbered.at(0).numbers == std::vector<std::pair<unsigned, unsigned>>{{1, 0}});
}

TEST_CASE("Gaudi accelerators come by HABANA_VISIBLE_DEVICES") {
  test::FakeHost host;
  for (const char* number : {"0", "1", "10"}) {
    host.file(fmt::format("/dev/accel/accel{}", number)).file(fmt::format("/dev/accel/accel_controlD{}", number));
    host.file(fmt::format("/sys/class/accel/accel{}/device/vendor", number), "0x1da3\n");
  }
  host.file("/dev/accel/accel2").file("/sys/class/accel/accel2/device/vendor", "0x8086\n");  // an NPU
  CHECK(intel_edits(host.view(), {}).empty());
  HookRequest request;
  request.environment.set("HABANA_VISIBLE_DEVICES", "0,2", "host");
  CHECK(device_nodes_of(intel_edits(host.view(), request)) ==
        Texts{"/dev/accel/accel0", "/dev/accel/accel_controlD0", "/dev/accel/accel10", "/dev/accel/accel_controlD10"});
  CHECK(device_nodes_of(intel_edits(host.view(), with_device("habana.ai/gaudi=accel1"))) ==
        Texts{"/dev/accel/accel1", "/dev/accel/accel_controlD1"});
  CHECK_THROWS(intel_edits(host.view(), with_device("habana.ai/gaudi=7")));
}

TEST_CASE("InfiniBand is there unless somebody says otherwise") {
  test::FakeHost host, none;
  const HostView view = add_fabric(host).view();
  const auto plan = [&](const char* list) {
    HookRequest request;
    if (list != nullptr) request.environment.set("MELLANOX_VISIBLE_DEVICES", list, "image");
    return device_nodes_of(plan_infiniband(view, request, UINT64_MAX));
  };
  const Texts all{"/dev/infiniband/uverbs0", "/dev/infiniband/uverbs1", "/dev/infiniband/rdma_cm"};
  CHECK(plan(nullptr) == all);
  CHECK(plan("all") == all);
  CHECK(plan("1") == Texts{"/dev/infiniband/uverbs1", "/dev/infiniband/rdma_cm"});
  CHECK(plan("mlx5_0") == Texts{"/dev/infiniband/uverbs0", "/dev/infiniband/rdma_cm"});
  CHECK(plan("void").empty());
  CHECK(plan("none").empty());
  CHECK_THROWS(plan("mlx5_7"));
  CHECK(plan_infiniband(none.view(), {}, 0).empty());
}

TEST_CASE("a job on InfiniBand is told of a small memlock limit") {
  test::FakeHost host;
  const HostView view = add_fabric(host).view();
  HookRequest job;
  CHECK(plan_infiniband(view, job, 65536).warnings.empty());
  job.job.set("SLURM_JOB_ID", "7", "host");
  CHECK(contains(plan_infiniband(view, job, 8u << 20).warnings.at(0).text, "only 8.4 MB"));
  CHECK(plan_infiniband(view, job, UINT64_MAX).warnings.empty());
}
