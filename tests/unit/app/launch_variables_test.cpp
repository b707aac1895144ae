#include "app/launch_variables.hpp"

#include <doctest/doctest.h>

using namespace mlctr;

using Words = std::vector<std::string>;

TEST_CASE("PMIx's settings by their later names") {
  CHECK(pmix_variables(
            {"PMIX_PTL_MODULE=tcp", "PMIX_GDS_MODULE=hash", "PMIX_SECURITY_MODE=munge", "PMIX_MCA_psec=native"}, {}) ==
        Words{"PMIX_MCA_ptl=tcp", "PMIX_MCA_gds=hash"});
  CHECK(pmix_variables({"PMIX_GDS_MODULE=hash"}, {"PMIX_MCA_gds=ds21"}).empty());
  CHECK(pmix_variables({"PMIX_GDS_MODULE=hash", "PMIX_MCA_gds="}, {}).empty());
  CHECK(pmix_variables({"PMIX_GDS_MODULE="}, {}).empty());
}

TEST_CASE("the PMIx server's directory is mounted where it is one") {
  REQUIRE(pmix_mounts({"PMIX_SERVER_TMPDIR=/usr"}).size() == 1);
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=/usr"})[0].target == "/usr");
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=/no/such/directory"}).empty());
  CHECK(pmix_mounts({"PMIX_SERVER_TMPDIR=relative"}).empty());
  CHECK(pmix_mounts({}).empty());
}

TEST_CASE("the first of several tasks tells that PMIx lets no mapped root in") {
  const std::vector<std::string> first{"PMIX_NAMESPACE=slurm.pmix.7.0", "SLURM_STEP_NUM_TASKS=2", "SLURM_PROCID=0"};
  CHECK(pmix_obstacle(first, runtime::Remap::root).find("--mpi=pmi2") != std::string::npos);
  CHECK(pmix_obstacle(first, runtime::Remap::none).empty());
  CHECK(pmix_obstacle({first[0], first[1], "SLURM_PROCID=1"}, runtime::Remap::root).empty());
  CHECK(pmix_obstacle({first[0], "SLURM_STEP_NUM_TASKS=1", first[2]}, runtime::Remap::root).empty());
  CHECK(pmix_obstacle({first[1], first[2]}, runtime::Remap::root).empty());
}
