// What `--explain-hooks` prints for machines of every kind, compared whole with tests/unit/hooks/golden/NAME.json (an
// edit a line, empty lists left out). Meant a change? MLCTR_WRITE_GOLDEN=1 writes them anew: read the diff.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "fake_host.hpp"
#include "hooks/chain.hpp"
#include "source_directory.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using test::FakeHost;
using GoldenJson = nlohmann::ordered_json;

namespace {

std::string in_lines(const GoldenJson& array) {
  std::string lines;
  for (const GoldenJson& each : array) lines += fmt::format("{}\n    {}", lines.empty() ? "" : ",", each.dump());
  return lines;
}

std::string readable(const std::string& plan) {
  const GoldenJson json = GoldenJson::parse(plan);
  std::string text;
  for (const auto& [key, value] : json.items()) {
    if (value.empty()) continue;
    const std::string shown = value.is_array() ? fmt::format("[{}\n  ]", in_lines(value)) : value.dump();
    text += fmt::format("{}\n  \"{}\": {}", text.empty() ? "" : ",", key, shown);
  }
  return fmt::format("{{{}\n}}\n", text);
}

void check_plan(std::string_view name, const FakeHost& host, const HookRequest& request) {
  CAPTURE(name);
  const std::string plan = readable(host.without_root(to_json(plan_edits(host.view(), request))));
  const auto file = source_directory() / fmt::format("tests/unit/hooks/golden/{}.json", name);
  if (::getenv("MLCTR_WRITE_GOLDEN") != nullptr) std::ofstream(file) << plan;
  CHECK(plan == read_file_if_any(file));
}

HookRequest wants(std::string gpus) {
  HookRequest request;
  request.gpus = std::move(gpus);
  return request;
}

HookRequest of_image(std::vector<std::string> entries) {
  HookRequest request;
  request.environment.set_entries(entries, "image");
  return request;
}

std::string gpu_uuid(unsigned number) {
  return fmt::format("GPU-00000000-0000-0000-0000-{:012}", number);
}

// A driver with `gpus` GPUs, the first on the bus with the last node.
void add_whole_driver(FakeHost& host, unsigned gpus, std::string_view libraries = "/usr/lib/x86_64-linux-gnu") {
  add_nvidia_module(host);
  add_nvidia_libraries(host, libraries);
  for (unsigned i = 0; i < gpus; ++i) {
    add_nvidia_gpu(host, fmt::format("0000:{:02x}:00.0", 5 + 7 * i), gpus - 1 - i, gpu_uuid(i));
  }
}

}  // namespace

TEST_CASE("golden: where a driver may be") {
  FakeHost debian, rhel, local, container;
  add_whole_driver(debian, 2);
  check_plan("debian", debian, wants("all"));
  add_whole_driver(rhel, 1, "/usr/lib64");
  rhel.link("/lib64", "usr/lib64");
  check_plan("rhel", rhel, wants("all"));
  add_whole_driver(local, 1, "/usr/local/nvidia/lib64");
  local.program("/usr/local/nvidia/bin/nvidia-smi");
  check_plan("usr-local-nvidia", local, wants("all"));
  add_whole_driver(container, 1, "/run/nvidia/driver/usr/lib64");
  container.program("/run/nvidia/driver/usr/bin/nvidia-smi");
  check_plan("driver-container", container, wants("all"));
}

TEST_CASE("golden: two drivers, other versions, none") {
  FakeHost two, mismatch, none;
  add_whole_driver(two, 1);
  add_nvidia_libraries(two, "/usr/lib64", "535.104.05");
  check_plan("two-driver-directories", two, wants("all"));
  add_nvidia_module(mismatch, "580.159.04");
  add_nvidia_gpu(mismatch, "0000:1b:00.0", 0, gpu_uuid(0));
  add_nvidia_libraries(mismatch, "/usr/lib64", "535.104.05");
  check_plan("version-mismatch", mismatch, wants("all"));
  check_plan("no-driver", none, of_image({"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=all"}));
}

TEST_CASE("golden: what is asked for") {
  FakeHost host;
  add_whole_driver(host, 3);
  host.file("/etc/OpenCL/vendors/nvidia.icd", "libnvidia-opencl.so.1\n");
  check_plan("nothing-asked", host, of_image({}));
  check_plan("void", host, wants("void"));
  check_plan("none", host, wants("none"));
  check_plan("utility-only", host, wants("all,capabilities=utility"));
  check_plan("one-by-uuid", host, wants(gpu_uuid(2)));
  check_plan("one-by-bus", host, wants("device=00000000:0C:00.0"));
  check_plan("image-wants-two", host, of_image({"NVIDIA_VISIBLE_DEVICES=0,2"}));
  HookRequest whole_dev = wants("device=1");
  whole_dev.device_directory = runtime::DeviceDirectory::hosts;
  check_plan("hosts-dev-one", host, whole_dev);
  HookRequest step;
  step.job.set_entries({"SLURM_JOB_ID=1", "SLURM_STEP_GPUS=0,2", "CUDA_VISIBLE_DEVICES=0,2"}, "host");
  check_plan("slurm-step", host, step);
}

TEST_CASE("golden: all capabilities, with the files of graphics") {
  FakeHost host;
  add_whole_driver(host, 1);
  for (const char* file :
       {"/etc/OpenCL/vendors/nvidia.icd", "/etc/vulkan/icd.d/nvidia_icd.json", "/usr/share/nvidia/nvoptix.bin",
        "/usr/share/glvnd/egl_vendor.d/10_nvidia.json", "/usr/share/egl/egl_external_platform.d/15_nvidia_gbm.json"}) {
    host.file(file);
  }
  host.file("/dev/gdrdrv").file("/dev/nvidia-fs0").file("/etc/cufile.json", "{}");
  check_plan("all-capabilities", host, wants("all,capabilities=all"));
}

TEST_CASE("golden: twelve GPUs") {
  FakeHost host;
  add_whole_driver(host, 12);
  check_plan("twelve", host, wants("all,capabilities=utility"));
  check_plan("twelve-two-of-them", host, wants("\"device=10,2\",capabilities=utility"));
}

TEST_CASE("golden: slices of a GPU") {
  FakeHost host;
  add_whole_driver(host, 2);
  std::string minors = "config 1\nmonitor 2\n";
  for (const char* access : {"gi1/access", "gi1/ci0/access", "gi2/access", "gi2/ci0/access"}) {
    host.file(fmt::format("/proc/driver/nvidia/capabilities/gpu1/mig/{}", access));
    const int minor = 10 + static_cast<int>(minors.size());
    minors += fmt::format("gpu1/{} {}\n", access, minor);
    host.file(fmt::format("/dev/nvidia-caps/nvidia-cap{}", minor));
  }
  host.file("/proc/driver/nvidia-caps/mig-minors", minors);
  check_plan("mig-by-place", host, wants("\"device=0:1\",capabilities=utility"));
  check_plan("mig-by-name", host, wants(fmt::format("\"device=MIG-{}/1/0\",capabilities=utility", gpu_uuid(0))));
}

TEST_CASE("golden: settings") {
  FakeHost host;
  add_whole_driver(host, 1);
  HookRequest system = wants("all");
  system.settings.driver_lib_layout = DriverLayout::system;
  check_plan("system-layout", host, system);
  HookRequest always = wants("all");
  always.settings.forward_compat = ForwardCompat::always;
  check_plan("forward-compat-always", host, always);
  always.settings.forward_compat = ForwardCompat::never;
  check_plan("forward-compat-never", host, always);
}

TEST_CASE("golden: libraries for 32-bit programs") {
  FakeHost host;
  add_whole_driver(host, 1);
  for (const char* stem : {"libcuda", "libnvidia-ml"}) {
    host.library(fmt::format("/usr/lib/i386-linux-gnu/{}.so.580.159.04", stem), fmt::format("{}.so.1", stem),
                 test::Machine::i386);
  }
  check_plan("compat32", host, wants("all,capabilities=compute,capabilities=utility,capabilities=compat32"));
  check_plan("compat32-not-asked", host, wants("all"));
}

TEST_CASE("golden: a CDI file") {
  FakeHost host;
  add_whole_driver(host, 2);
  host.file("/etc/cdi/nvidia.yaml", R"(cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "1"
  containerEdits: {deviceNodes: [{path: /dev/nvidia0}]}
containerEdits:
  env: [NVIDIA_VISIBLE_DEVICES=void]
  deviceNodes: [{path: /dev/nvidiactl}]
  hooks:
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, create-symlinks, --link,
     "libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so"]}
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, update-ldcache, --folder,
     /usr/lib/x86_64-linux-gnu]}
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, enable-cuda-compat]}
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, chmod, --mode, "755", --path, /dev/dri]}
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, disable-device-node-modification]}
  - {hookName: createContainer, path: /usr/bin/nvidia-cdi-hook, args: [nvidia-cdi-hook, of-a-later-version]}
  mounts:
  - {hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04, containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04,
     options: [ro, nosuid, nodev, rbind]}
  - {hostPath: /usr/bin/nvidia-smi, containerPath: /usr/bin/nvidia-smi, options: [ro, nosuid, nodev, rbind]}
)");
  check_plan("cdi-nvidia", host, wants("nvidia.com/gpu=1"));
}

TEST_CASE("golden: other vendors") {
  FakeHost amd, infiniband;
  amd.file("/dev/kfd");
  for (const int place : {1, 2}) {
    amd.file(fmt::format("/dev/dri/renderD{}", 130 - place));
    amd.file(fmt::format("/sys/class/kfd/kfd/topology/nodes/{}/properties", place),
             fmt::format("simd_count 4\ndrm_render_minor {}\nlocation_id {}\n", 130 - place, place * 256));
  }
  check_plan("amd-one-of-two", amd, wants("device=1"));
  infiniband.file("/dev/infiniband/rdma_cm").file("/dev/infiniband/uverbs0");
  infiniband.file("/sys/class/infiniband_verbs/uverbs0/ibdev", "mlx5_0\n");
  infiniband.file("/sys/class/infiniband/mlx5_0/node_type", "1: CA\n");
  check_plan("infiniband", infiniband, of_image({}));
}
