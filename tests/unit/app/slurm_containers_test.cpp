#include "app/slurm_containers.hpp"

#include <doctest/doctest.h>

#include "app/slurm_queue.hpp"

using namespace mlctr;

namespace {

SlurmContainer container(const std::string& job, const std::string& step, const std::string& node) {
  return {.job = job,
          .step = step,
          .node = node,
          .user = "me",
          .id = job + "." + step,
          .name = {},
          .image = "python:3.8",
          .processes = 2,
          .started_at = 5};
}

}  // namespace

TEST_CASE("what a node prints is read again, from among other lines") {
  const std::string text = "Welcome to n1\n" +
                           to_lines("n1", {container("12", "0", "n1"), container("12", "batch", "n1")}) +
                           "{\"job\": 5}\n[1]\n{\n" + to_lines("n3", {});
  const NodesAnswer answer = parse_lines(text, {"n1", "n2", "n3"}, "12");
  REQUIRE(answer.containers.size() == 2);
  CHECK(answer.containers[0] == container("12", "0", "n1"));
  CHECK(answer.containers[1].step == "batch");
  REQUIRE(answer.silent.size() == 1);
  CHECK(answer.silent[0].node == "n2");
  CHECK(answer.silent[0].job == "12");
}

TEST_CASE("a line is never longer than srun passes on whole") {
  SlurmContainer long_one = container("12", "0", "n1");
  long_one.image = std::string(4000, '\xff') + "/end.sqsh";
  const std::string text = to_lines("n1", {long_one});
  CHECK(text.find('\n') < 4000);
  const auto answer = parse_lines(text, {}, "12");
  REQUIRE(answer.containers.size() == 1);
  CHECK(answer.containers[0].image.ends_with("/end.sqsh"));
}

TEST_CASE("containers are listed once, by job and step as numbers") {
  std::vector<SlurmContainer> all{container("100", "0", "n1"), container("9", "10", "n1"), container("9", "2", "n2"),
                                  container("9", "2", "n1"), container("100", "0", "n1")};
  sort_containers(all);
  REQUIRE(all.size() == 4);
  CHECK(all[0] == container("9", "2", "n1"));
  CHECK(all[1] == container("9", "2", "n2"));
  CHECK(all[2] == container("9", "10", "n1"));
  CHECK(all[3] == container("100", "0", "n1"));
}

TEST_CASE("squeue's lines") {
  const auto jobs =
      parse_queue("12|RUNNING|1000|n[1-2]|None\n13|PENDING|1000||Resources|odd\nslurm_load_jobs error\n|x\n");
  REQUIRE(jobs.size() == 2);
  CHECK(jobs[0].runs());
  CHECK(jobs[0].uid == 1000);
  CHECK(jobs[0].nodes == std::vector<std::string>{"n1", "n2"});
  CHECK(jobs[1].state == "PENDING");
  CHECK(jobs[1].reason == "Resources|odd");
  CHECK(jobs[1].nodes.empty());
  // Of an array, and of a heterogeneous job.
  const auto parts = parse_queue("15,14_1|RUNNING|1000|n1|None\n17,16+1|RUNNING|1000|n2|None\n18,18|RUNNING|1000|n2|None\n");
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].id == "15");
  CHECK(parts[1].id == "16+1");
  CHECK(parts[2].id == "18");
}
