#include "app/limit_probes.hpp"

#include <doctest/doctest.h>

#include "temporary_directory.hpp"

using namespace mlctr;

TEST_CASE("the tightest of the groups around counts") {
  const test::TemporaryDirectory groups;
  groups.write("slurm/memory.max", "8000000000\n");
  groups.write("slurm/pids.max", "max\n");
  groups.write("slurm/job_1/memory.max", "max\n");
  groups.write("slurm/job_1/pids.max", "512\n");
  groups.write("slurm/job_1/step_0/memory.max", "9000000000\n");
  const GroupLimits limits = read_group_limits("0::/slurm/job_1/step_0\n", groups.path());
  CHECK(limits.path == "/slurm/job_1/step_0");
  CHECK(limits.memory_bytes == 8'000'000'000u);
  CHECK(limits.processes == 512u);
}

TEST_CASE("no limit, no groups, and groups out of sight") {
  const test::TemporaryDirectory groups;
  const GroupLimits root = read_group_limits("0::/\n", groups.path());
  CHECK(root.path == "/");
  CHECK_FALSE(root.memory_bytes);
  CHECK_FALSE(root.processes);
  CHECK(read_group_limits("12:memory:/x\n1:name=systemd:/y\n", groups.path()).path.empty());
  CHECK(read_group_limits("12:memory:/x\n0::/z\n", groups.path()).path == "/z");
  groups.write("memory.max", "5");
  CHECK(read_group_limits("0::/../outside\n", groups / "inside").memory_bytes == std::nullopt);
}
