#include "hooks/device_choice.hpp"

#include <doctest/doctest.h>

#include "fake_host.hpp"
#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::hooks;
using Places = std::vector<std::size_t>;

namespace {

const std::vector<DeviceNames> k_three{{"GPU-00ab", "0000:03:00.0"}, {"GPU-00cd", "0000:43:00.0"}, {}};

Places choose(std::string_view text) {
  return choose_devices(text, k_three, "GPU");
}

HookRequest job(std::string_view gpus) {
  HookRequest request;
  request.job.set("SLURM_STEP_GPUS", std::string(gpus), "host");
  return request;
}

}  // namespace

TEST_CASE("devices are chosen by place and by name") {
  CHECK(choose("all") == Places{0, 1, 2});
  CHECK(choose("2, 0,2") == Places{0, 2});
  CHECK(choose("gpu-00CD") == Places{1});
  CHECK(choose("0000:03:00.0") == Places{0});
  for (const char* nothing : {"", "none", "void"}) CHECK(choose(nothing).empty());
  for (const char* unknown : {"3", "-1", "0.1", "GPU-00", "x", "99999999999999999999"}) {
    CAPTURE(unknown);
    const auto thrown = test::thrown_by([&] { choose(unknown); });
    CHECK(thrown.message == std::string("no GPU ") + unknown);
    CHECK(thrown.hint == "there are: 0 (GPU-00ab, 0000:03:00.0), 1 (GPU-00cd, 0000:43:00.0), 2");
  }
}

TEST_CASE("a step sees what it was given, constrained by cgroups or not") {
  CHECK(choose_of_step("all", k_three, "GPU", HookRequest()) == Places{0, 1, 2});
  CHECK(choose_of_step("all", k_three, "GPU", job("1,2")) == Places{1, 2});
  CHECK(choose_of_step("0", k_three, "GPU", job("2")) == Places{2});
  CHECK(choose_of_step("GPU-00cd", k_three, "GPU", job("1-2")) == Places{1});
  CHECK_THROWS(choose_of_step("GPU-00ab", k_three, "GPU", job("1-2")));
  // A device cgroup shows three of eight: their numbers on the node say nothing of their places.
  CHECK(choose_of_step("all", k_three, "GPU", job("5,6,7")) == Places{0, 1, 2});
  CHECK(choose_of_step("all", k_three, "GPU", job("gpu:a100")).empty());
}

TEST_CASE("--gpus means the GPUs of the first vendor that the host has") {
  test::FakeHost intel, none;
  intel.file("/dev/dri/renderD128").file("/sys/class/drm/renderD128/device/vendor", "0x8086\n");
  CHECK(gpu_vendor(none.view()) == GpuVendor::none);
  CHECK(gpu_vendor(intel.view()) == GpuVendor::intel);
  CHECK(gpu_vendor(intel.file("/dev/kfd").view()) == GpuVendor::amd);
  CHECK(gpu_vendor(intel.file("/dev/nvidiactl").view()) == GpuVendor::nvidia);
  CHECK(gpus_option_list("2") == "0,1");
  CHECK(gpus_option_list("device=1,GPU-00ab") == "1,GPU-00ab");
  CHECK(gpus_option_list("all") == "all");
  CHECK(gpus_option_list("none") == "none");
}
