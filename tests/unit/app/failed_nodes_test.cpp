#include "app/failed_nodes.hpp"

#include <doctest/doctest.h>

#include <future>
#include <set>

#include "temporary_directory.hpp"

using namespace mlctr;
using namespace std::chrono_literals;

namespace {

SlurmStep step_on(const std::string& node) {
  return {.job = "7", .step = "0", .restart = "0", .node = node};
}

}  // namespace

TEST_CASE("names of nodes are folded as Slurm does") {
  CHECK(fold_node_names({"n1"}) == "n1");
  CHECK(fold_node_names({"n3", "n1", "n2"}) == "n[1-3]");
  CHECK(fold_node_names({"n10", "n9", "n1", "n3"}) == "n[1,3,9-10]");
  CHECK(fold_node_names({"gpu007", "gpu008", "login"}) == "login,gpu[007-008]");
  CHECK(fold_node_names({"a-b", "c"}) == "a-b,c");
}

TEST_CASE("nodes that share a place tell a cause once") {
  const test::TemporaryDirectory place;
  const auto ask = [&](const std::string& node, const std::string& cause) {
    return std::async(std::launch::async,
                      [&place, node, cause] { return nodes_that_failed(place.path(), step_on(node), cause, 3, 30s); });
  };
  auto first = ask("n1", "cause"), second = ask("n2", "cause"), third = ask("n3", "cause");
  std::multiset<std::size_t> told;
  for (auto* node : {&first, &second, &third}) told.insert(node->get().size());
  CHECK(told == std::multiset<std::size_t>{0, 0, 3});
  CHECK(std::filesystem::is_empty(place.path()));
}

TEST_CASE("other causes, other steps and lone nodes are told by themselves") {
  const test::TemporaryDirectory place;
  const std::vector<std::string> alone{"n1"};
  CHECK(nodes_that_failed(place.path(), step_on("n1"), "cause", 1, 30s) == alone);
  CHECK(nodes_that_failed(place.path(), step_on("n1"), "cause", 3, 0s) == alone);
  CHECK(nodes_that_failed("/proc/none", step_on("n1"), "cause", 3, 30s) == alone);
}
