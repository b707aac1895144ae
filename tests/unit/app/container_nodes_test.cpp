#include "app/container_nodes.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "app/slurm_containers.hpp"
#include "temporary_directory.hpp"

using namespace mlctr;
using mlctr::test::TemporaryDirectory;

TEST_CASE("other nodes that have a container are known by name, this one is not among them") {
  const TemporaryDirectory directory;
  Configuration configuration;
  configuration.store = directory.path();
  CHECK(other_nodes_with_container(configuration, "py38").empty());
  record_container_here(configuration, "py38");
  CHECK(std::filesystem::exists(directory / "nodes/py38" / name_of_node()));
  CHECK(other_nodes_with_container(configuration, "py38").empty());
  directory.write("nodes/py38/n2", "");
  directory.write("nodes/py38/n1", "");
  directory.write("nodes/other/n9", "");
  CHECK(other_nodes_with_container(configuration, "py38") == std::vector<std::string>{"n1", "n2"});
  CHECK(other_nodes_with_container(configuration, "../nodes/py38").empty());

  forget_container_here(configuration, "py38");
  CHECK_FALSE(std::filesystem::exists(directory / "nodes/py38" / name_of_node()));
  CHECK(other_nodes_with_container(configuration, "py38").size() == 2);
}

TEST_CASE("what nobody has any more leaves no directory behind") {
  const TemporaryDirectory directory;
  Configuration configuration;
  configuration.store = directory.path();
  record_container_here(configuration, "py38");
  forget_container_here(configuration, "py38");
  CHECK_FALSE(std::filesystem::exists(directory / "nodes/py38"));
  forget_container_here(configuration, "py38");  // twice does no harm
}
