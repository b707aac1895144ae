#include "cli/srun_words.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "base/error.hpp"
#include "cli/srun_options.hpp"

namespace mlctr::cli {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word == "''" ? "" : word);
  return words;
}

std::string join(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + (word.empty() ? "''" : word);
  return line;
}

std::string no_help() {
  FAIL("srun was asked for help without need");
  return {};
}

std::string wrapped(const std::string& line, const Words& environment = {}, const SrunHelp& help = no_help) {
  return join(wrap_srun_words(parse_srun_words(split(line), help), environment, {.mlctr = "/m", .task = ""}));
}

std::string failure(const std::string& line) {
  try {
    return "no error: " + wrapped(line);
  } catch (const UsageError& error) {
    return error.message() + " | " + error.hint();
  }
}

TEST_CASE("srun's options stay in front, the container's go to mlctr") {
  CHECK(wrapped("-N2 --container-image=python:3.8 python train.py --epochs=3") ==
        "--job-name=python -N2 /m step run --container-image=python:3.8 -- python train.py --epochs=3");
  CHECK(wrapped("--container-image python:3.8 -n 4 --container-name py38 python -V") ==
        "--job-name=python -n 4 /m step run --container-image=python:3.8 --container-name=py38 -- python -V");
  CHECK(wrapped("--container-name=c --no-container-mount-home --container-remap-root /usr/bin/id -u") ==
        "--job-name=id /m step run --container-name=c --no-container-mount-home --container-remap-root -- /usr/bin/id "
        "-u");
  CHECK(wrapped("--container-name=c --container-mounts=/a:/b,/c:/d:ro --pty bash") ==
        "--job-name=bash --pty /m step run --container-name=c --container-mounts=/a:/b,/c:/d:ro -- bash");
}

TEST_CASE("a starter of tasks stands in front, but where the task's mlctr stays to save") {
  const auto started = [](const std::string& line, const Words& environment) {
    return join(
        wrap_srun_words(parse_srun_words(split(line), no_help), environment, {.mlctr = "/m", .task = "/m-task"}));
  };
  CHECK(started("--container-name=c id", {}) == "--job-name=id /m-task /m step run --container-name=c -- id");
  CHECK(started("--container-name=c --container-save=/f.sqsh id", {}) ==
        "--job-name=id /m step run --container-name=c --container-save=/f.sqsh -- id");
  CHECK(started("--container-name=c id", {"PYXIS_CONTAINER_SAVE=/f.sqsh"}) ==
        "--job-name=id /m step run --container-name=c --container-save=/f.sqsh -- id");
  CHECK(started("-n1 hostname : --container-name=c id", {}) ==
        "-n1 hostname : --job-name=id /m-task /m step run --container-name=c -- id");
}

TEST_CASE("options that take their argument as a word of its own") {
  for (const char* options : {"-N 2 -n 4",
                              "-lN 2",
                              "-lN2",
                              "-n4 -c 2 -t 10",
                              "--nodes 2 --time=10",
                              "--gres gpu:1",
                              "--mpi pmix",
                              "-K -l",
                              "-K0 -l",
                              "-I -N 1",
                              "-I5 -N1",
                              "--nice --exclusive",
                              "--nice=5 --exclusive=user",
                              "--kill-on-bad-exit --label",
                              "-w n1,n2 -x n3",
                              "-o out-%t -e err -i none",
                              "--export NONE",
                              "--overlap --jobid 12",
                              "-vvv",
                              "-p all -A me -q q",
                              "-D /data",
                              "--mem 1G --mem-per-cpu=2G",
                              "--propagate --x11",
                              "--propagate=STACK",
                              "--bcast --compress",
                              "-m block:cyclic",
                              "-X -u -s -O",
                              "-G 2 --gpus-per-node 1",
                              "--het-group 0",
                              "-r 1",
                              "-F file",
                              "--signal 9@60"}) {
    CAPTURE(options);
    CHECK(wrapped(std::string(options) + " --container-name=c -J x sleep -1") ==
          std::string(options) + " -J x /m step run --container-name=c -- sleep -1");
  }
}

TEST_CASE("a quiet srun's tasks are quiet about what they import") {
  for (const std::string option : {"-Q", "--quiet", "-lQ"}) {
    CHECK(wrapped(option + " --container-name=c -J x true") ==
          option + " -J x /m step run --quiet --container-name=c -- true");
  }
}

TEST_CASE("options cut short, as getopt_long(3) takes them") {
  CHECK(wrapped("--nodel n1 --job x --container-im i --container-nam=c true") ==
        "--nodel n1 --job x /m step run --container-image=i --container-name=c -- true");
  CHECK(wrapped("--ntasks-per-n 2 --job-n=x --container-name=c true") ==
        "--ntasks-per-n 2 --job-n=x /m step run --container-name=c -- true");
  CHECK(failure("--container-mount=/a --job=x true").find("ambiguous") != std::string::npos);
  CHECK(match_srun_option("nodes") == SrunMatch::exact);
  CHECK(match_srun_option("node") == SrunMatch::abbreviation);
  CHECK(match_srun_option("container") == SrunMatch::exact);
  CHECK(match_srun_option("container-image") == SrunMatch::none);
}

TEST_CASE("the command's words are its own") {
  CHECK(wrapped("--container-name=c -Jx -- python --container-image=no -N2") ==
        "-Jx -- /m step run --container-name=c -- python --container-image=no -N2");
  CHECK(wrapped("--container-name=c -Jx sh -c '' -- :x") == "-Jx /m step run --container-name=c -- sh -c '' -- :x");
  CHECK(wrapped("-Jx --container-name=c -- -odd") == "-Jx -- /m step run --container-name=c -- -odd");
  CHECK(wrapped("-N2 hostname --container-name=c") == "-N2 hostname --container-name=c");
}

TEST_CASE("without a container nothing changes") {
  for (const char* line :
       {"-N2 hostname", "", "--version", "-n1 a : -n2 b c", "-n1 : -n2 b", "--foo --bar=1 x", "-- a",
        "a :", "--container=/bundle a", "--container /bundle a", "--container-id=7 a", "--usage", "-?", "-", "-N"}) {
    CAPTURE(line);
    CHECK(wrapped(line, {}, [] { return std::string(); }) == std::string(line));
  }
  CHECK(wrapped("--container-mounts=/a:/b -N2 hostname") == "-N2 hostname");
}

TEST_CASE("components of a heterogeneous step") {
  CHECK(wrapped("-Jx --container-name=c a 1 : -Jy -n2 b") ==
        "-Jx /m step run --container-name=c -- a 1 : -Jy -n2 /m step run --container-name=c -- b");
  CHECK(wrapped("-Jx --container-name=c a : -Jy --container-image=i b") ==
        "-Jx /m step run --container-name=c -- a : -Jy /m step run --container-image=i -- b");
  CHECK(wrapped("-Jx a : -Jy --container-name=c b") == "-Jx a : -Jy /m step run --container-name=c -- b");
  CHECK(wrapped("-Jx -n1 --container-name=c : -Jy -n2 b 1") ==
        "-Jx -n1 /m step run --container-name=c -- b 1 : -Jy -n2 /m step run --container-name=c -- b 1");
}

TEST_CASE("variables ask for a container too, and options win over them") {
  CHECK(wrapped("-Jx true", {"MLCTR_CONTAINER_IMAGE=i"}) == "-Jx /m step run --container-image=i -- true");
  CHECK(wrapped("-Jx true", {"PYXIS_CONTAINER_NAME=c", "PYXIS_CONTAINER_WORKDIR=/w"}) ==
        "-Jx /m step run --container-name=c --container-workdir=/w -- true");
  CHECK(wrapped("-Jx --container-image=j true", {"MLCTR_CONTAINER_IMAGE=i"}) ==
        "-Jx /m step run --container-image=j -- true");
  CHECK(wrapped("-Jx true", {"MLCTR_CONTAINER_WORKDIR=/w"}) == "-Jx true");
}

TEST_CASE("a job has its command's name, as without a container") {
  CHECK(wrapped("--container-name=c true", {"SLURM_JOB_NAME=n"}) == "/m step run --container-name=c -- true");
  CHECK(wrapped("--container-name=c true", {"SLURM_JOB_NAME=n", "SLURM_JOB_ID=1"}) ==
        "--job-name=true /m step run --container-name=c -- true");
}

TEST_CASE("an option of another plugin is looked up in srun's help") {
  const auto help = [] {
    return std::string(
        "Options provided by plugins:\n      --auks=[yes|no]   Kerberos\n      --trace[=level]  t\n      --private-tmp "
        "  p\n");
  };
  CHECK(wrapped("-Jx --auks yes --container-name=c true", {}, help) ==
        "-Jx --auks yes /m step run --container-name=c -- true");
  CHECK(wrapped("-Jx --trace --private-tmp --container-name=c true", {}, help) ==
        "-Jx --trace --private-tmp /m step run --container-name=c -- true");
}

TEST_CASE("mistakes are told before the job waits") {
  CHECK(failure("--container-imgae=x true") ==
        "srun: no such option: --container-imgae | did you mean --container-image?");
  CHECK(failure("--container-frobnicate true").find("no such option: --container-frobnicate") != std::string::npos);
  CHECK(failure("--container-image").find("no error") == std::string::npos);
  CHECK(failure("--container-image= true").find("argument required") != std::string::npos);
  CHECK(failure("--multi-prog --container-name=c conf").find("--multi-prog") == 0);
  CHECK(wrapped("-Jx --container-name=a --container-name=a true").find("--container-name=a") != std::string::npos);
}

TEST_CASE("options that nothing gives an effect are told of") {
  const auto ineffective = [](const std::string& line) {
    return join(ineffective_options(parse_srun_words(split(line), no_help), {}));
  };
  CHECK(ineffective("--container-mounts=/a:/b --container-readonly true") == "--container-mounts --container-readonly");
  CHECK(ineffective("--container-mounts=/a:/b --container-name=c true") == "");
}

}  // namespace
}  // namespace mlctr::cli
