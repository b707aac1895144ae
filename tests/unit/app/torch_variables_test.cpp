#include "app/torch_variables.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"

using namespace mlctr;

using Words = std::vector<std::string>;

namespace {

const Words k_task{"SLURM_JOB_ID=12",
                   "SLURM_STEP_ID=3",
                   "SLURM_STEP_NUM_TASKS=8",
                   "SLURM_PROCID=5",
                   "SLURM_LOCALID=1",
                   "SLURM_STEP_NODELIST=n[2-5]",
                   "SLURM_STEP_TASKS_PER_NODE=2(x4)",
                   "SLURM_NODEID=2"};

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words found(const Words& task, const Words& image = {}) {
  return torch_variables(task, image, {});
}

unsigned port(const Words& task, OutgoingPorts outgoing) {
  for (const std::string& entry : torch_variables(task, {}, outgoing)) {
    if (entry.starts_with("MASTER_PORT=")) return static_cast<unsigned>(std::stoul(entry.substr(12)));
  }
  return 0;
}

Words step(unsigned job, unsigned number) {
  return {"SLURM_JOB_ID=" + std::to_string(job), "SLURM_STEP_ID=" + std::to_string(number), "SLURM_STEP_NUM_TASKS=2"};
}

}  // namespace

TEST_CASE("each task of several finds what torch.distributed reads") {
  CHECK(found(k_task) == Words{"MASTER_ADDR=n2", "MASTER_PORT=13769", "WORLD_SIZE=8", "RANK=5", "LOCAL_RANK=1"});
}

TEST_CASE("what the user or the image sets wins, even if it is nothing") {
  CHECK(found(with(k_task, {"MASTER_PORT=1234", "RANK="}), {"WORLD_SIZE=2"}) ==
        Words{"MASTER_ADDR=n2", "LOCAL_RANK=1"});
  CHECK(found(k_task, {"MASTER_ADDR="}).front() == "MASTER_PORT=13769");
}

TEST_CASE("they can be switched off, or be for PyTorch's images alone") {
  const auto chosen = [](const std::string& choice) { return with(k_task, {"MLCTR_SLURM_PYTORCH=" + choice}); };
  const Words torch{"PYTORCH_VERSION=2"};
  CHECK(found(chosen("never"), torch).empty());
  CHECK(found(chosen("image")).empty());
  CHECK(found(chosen("image"), {"PYTORCH_VERSION="}).empty());
  CHECK(found(chosen("image"), torch).size() == 6);
  CHECK(found(chosen("always")).size() == 5);
  CHECK(found(chosen("")).size() == 5);
  CHECK_THROWS_AS(found(chosen("often")), UsageError);
}

TEST_CASE("one thread each, where PyTorch's tasks share a node") {
  const Words torch{"PYTORCH_VERSION=2"};
  const auto has_threads = [&](const Words& task, const Words& image) {
    return std::ranges::count(found(task, image), "OMP_NUM_THREADS=1") == 1;
  };
  CHECK(has_threads(k_task, torch));
  CHECK(!has_threads(k_task, {}));
  CHECK(!has_threads(with(k_task, {"OMP_NUM_THREADS=4"}), torch));
  const auto on = [](const std::string& tasks_per_node, const std::string& node) {
    return Words{"SLURM_STEP_NUM_TASKS=12", "SLURM_STEP_TASKS_PER_NODE=" + tasks_per_node, "SLURM_NODEID=" + node};
  };
  CHECK(!has_threads(on("1(x12)", "3"), torch));
  CHECK(has_threads(on("11,1", "0"), torch));
  CHECK(!has_threads(on("11,1", "1"), torch));
}

TEST_CASE("a task alone is no rank, nor is a batch script") {
  CHECK(found({"SLURM_STEP_NUM_TASKS=1", "SLURM_PROCID=0"}).empty());
  CHECK(found({"SLURM_JOB_ID=1", "SLURM_NTASKS=8", "SLURM_PROCID=0"}).empty());
}

TEST_CASE("the port is none that outgoing connections get") {
  for (const OutgoingPorts outgoing :
       {OutgoingPorts{32768, 60999}, OutgoingPorts{1024, 30000}, OutgoingPorts{10000, 65535},
        OutgoingPorts{20000, 30000}, OutgoingPorts{9000, 65000}, OutgoingPorts{29999, 65535}}) {
    for (const unsigned job : {0u, 1u, 4711u, 99'999u, 4'000'000'000u}) {
      CAPTURE(outgoing.first);
      CAPTURE(job);
      const unsigned found = port(step(job, 1), outgoing);
      CHECK(found >= 1024);
      CHECK(found <= 65535);
      CHECK((found < outgoing.first || found > outgoing.last));
    }
  }
  CHECK(port(step(1, 0), {1, 65535}) >= 1024);  // there is no better one
}

TEST_CASE("steps that may run at once have ports of their own") {
  std::set<unsigned> ports;
  for (unsigned job = 100; job < 110; ++job) {
    for (unsigned number = 0; number < 10; ++number) ports.insert(port(step(job, number), {}));
  }
  CHECK(ports.size() == 100);
}

TEST_CASE("this machine's own range") {
  CHECK(outgoing_ports().first <= outgoing_ports().last);
}
