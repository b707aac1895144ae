#include "runtime/renumbering.hpp"

#include <doctest/doctest.h>

using namespace mlctr::runtime;

namespace {

// GPUs 1 and 3 of the host are 0 and 1 here.
Environment renumbered(const std::string& value, const std::string& origin = "host") {
  Environment environment;
  environment.set("CUDA_VISIBLE_DEVICES", value, origin);
  renumber(environment, {{.variable = "CUDA_VISIBLE_DEVICES", .numbers = {{1, 0}, {3, 1}}, .origin = "nvidia"}});
  return environment;
}

}  // namespace

TEST_CASE("positions of the host become the container's") {
  CHECK(renumbered("3,1").value("CUDA_VISIBLE_DEVICES") == "1,0");
  CHECK(renumbered("3").value("CUDA_VISIBLE_DEVICES") == "1");
  CHECK(renumbered("0,3").value("CUDA_VISIBLE_DEVICES") == "1");
}

TEST_CASE("where none is left, all that there is may be used") {
  CHECK_FALSE(renumbered("0,2").has("CUDA_VISIBLE_DEVICES"));
}

TEST_CASE("names, nothing at all, and what the user says are left alone") {
  CHECK(renumbered("GPU-1").value("CUDA_VISIBLE_DEVICES") == "GPU-1");
  CHECK(renumbered("-1").value("CUDA_VISIBLE_DEVICES") == "-1");
  CHECK(renumbered("").has("CUDA_VISIBLE_DEVICES"));
  CHECK(renumbered("3", "--env").value("CUDA_VISIBLE_DEVICES") == "3");
}
