#include "app/slurm_step.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "base/error.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;

TEST_CASE("how many tasks a node has, as Slurm abbreviates it") {
  CHECK(tasks_of_node("4", 0) == 4);
  CHECK(tasks_of_node("2(x3),1", 0) == 2);
  CHECK(tasks_of_node("2(x3),1", 2) == 2);
  CHECK(tasks_of_node("2(x3),1", 3) == 1);
  CHECK(tasks_of_node("1,16(x2)", 2) == 16);
}

TEST_CASE("hostile input: a text that does not say how many tasks means one") {
  for (const char* text :
       {"", ",", "(x", "x", "0", "2(x0)", "99999999999999999999", "2(x99999999999999999999)", "-4"}) {
    CAPTURE(text);
    CHECK(tasks_of_node(text, 7) == 1);
  }
}

TEST_CASE("a step is what its task's environment says") {
  const SlurmStep step = look_at_slurm_step({"SLURM_JOB_ID=12", "SLURM_STEP_ID=3", "SLURM_RESTART_COUNT=2",
                                             "SLURMD_NODENAME=n4", "SLURM_STEP_TASKS_PER_NODE=1,8", "SLURM_NODEID=1"});
  CHECK(step.node == "n4");
  CHECK(step.local_tasks == 8);
  CHECK(container_id_of(step) == "12.3.2");
  CHECK(step.keeper == ::getppid());  // there is no slurmstepd above a test
  CHECK(key_of(step) != key_of(look_at_slurm_step({"SLURM_JOB_ID=12", "SLURM_STEP_ID=3"})));
  CHECK(container_id_of(look_at_slurm_step({"SLURM_JOB_ID=12"})) == "12.batch");
}

TEST_CASE("hostile input: ids become names of files") {
  CHECK(test::contains(test::thrown_by<UsageError>([] { look_at_slurm_step({}); }).message, "SLURM_JOB_ID"));
  for (const char* id : {"../x", "a/b", ".", "1 2", "-1"}) {
    CAPTURE(id);
    const std::string entry = std::string("SLURM_JOB_ID=") + id;
    CHECK(test::contains(test::thrown_by<UsageError>([&] { look_at_slurm_step({entry}); }).message, "no id"));
  }
}
