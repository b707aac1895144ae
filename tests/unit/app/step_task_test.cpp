#include "app/step_task.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace mlctr;

TEST_CASE("whose step an environment is of") {
  CHECK(is_task_of("12.0.0-99", {"SLURM_JOB_ID=12", "SLURM_STEP_ID=0"}));
  CHECK(!is_task_of("12.0.0-99", {"SLURM_JOB_ID=12", "SLURM_STEP_ID=1"}));
  CHECK(!is_task_of("12.10.0-99", {"SLURM_JOB_ID=12", "SLURM_STEP_ID=1"}));
  CHECK(is_task_of("12.batch.0-99", {"SLURM_JOB_ID=12"}));
  CHECK(!is_task_of("12.0.0-99", {"A=b"}));
}

TEST_CASE("processes that are no tasks have no environment of a step") {
  CHECK(environment_of_first_task("12.0.0-99", {::getpid(), 999'999'999}).empty());
}
