#include "app/launch_variables.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace mlctr;

using Words = std::vector<std::string>;

TEST_CASE("the first host of Slurm's lists") {
  CHECK(first_host("n1") == "n1");
  CHECK(first_host("n[1-4,7]") == "n1");
  CHECK(first_host("n[07,9]") == "n07");
  CHECK(first_host("a,n[1-4]") == "a");
  CHECK(first_host("rack[1-2]n[3-4],b") == "rack1n3");
  CHECK(first_host("gpu[02-03].site") == "gpu02.site");
}

TEST_CASE("hostile input: lists that are none") {
  for (const char* list : {"", ",", "[", "]", "n[", "n[]", "n[-]", "[,]"}) {
    CAPTURE(list);
    CHECK(first_host(list).find_first_of("[,-") == std::string::npos);
  }
}

TEST_CASE("each task of several finds what torch.distributed reads") {
  const Words task{"SLURM_JOB_ID=12",
                   "SLURM_STEP_ID=3",
                   "SLURM_STEP_NUM_TASKS=8",
                   "SLURM_PROCID=5",
                   "SLURM_LOCALID=1",
                   "SLURM_STEP_NODELIST=n[2-5]",
                   "SLURM_STEP_TASKS_PER_NODE=2(x4)"};
  CHECK(launch_variables(task, {}) ==
        Words{"MASTER_ADDR=n2", "MASTER_PORT=10015", "WORLD_SIZE=8", "RANK=5", "LOCAL_RANK=1"});
  CHECK(launch_variables(task, {"PYTORCH_VERSION=2"}).back() == "OMP_NUM_THREADS=1");
  Words own = task;
  own.emplace_back("MASTER_PORT=1234");
  const Words found = launch_variables(own, {"WORLD_SIZE=2"});
  CHECK(found == Words{"MASTER_ADDR=n2", "RANK=5", "LOCAL_RANK=1"});
}

TEST_CASE("a task alone is no rank") {
  CHECK(launch_variables({"SLURM_STEP_NUM_TASKS=1", "SLURM_PROCID=0"}, {}).empty());
}

TEST_CASE("PMIx's settings by their later names") {
  CHECK(launch_variables({"PMIX_GDS_MODULE=hash", "PMIX_SECURITY_MODE=munge", "PMIX_MCA_psec=native"}, {}) ==
        Words{"PMIX_MCA_gds=hash"});
}

TEST_CASE("the PMIx server's directory is mounted where it is one") {
  REQUIRE(pmix_mounts({"PMIX_SERVER_TMPDIR=/usr"}).size() == 1);
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=/usr"})[0].target == "/usr");
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=/no/such/directory"}).empty());
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=relative"}).empty());
  CHECK(pmix_mounts({}).empty());
}
