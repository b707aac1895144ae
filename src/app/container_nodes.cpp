#include "app/container_nodes.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "app/slurm_containers.hpp"
#include "store/container_store.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

std::filesystem::path place_of(const Configuration& configuration, std::string_view name) {
  return configuration.store / "nodes" / name;
}

}  // namespace

void record_container_here(const Configuration& configuration, std::string_view name) {
  const std::filesystem::path place = place_of(configuration, name);
  std::error_code ignored;
  std::filesystem::create_directories(place, ignored);
  std::ofstream(place / name_of_node());
}

void forget_container_here(const Configuration& configuration, std::string_view name) {
  const std::filesystem::path place = place_of(configuration, name);
  std::error_code ignored;
  std::filesystem::remove(place / name_of_node(), ignored);
  std::filesystem::remove(place, ignored);  // not while others are in it
}

std::vector<std::string> other_nodes_with_container(const Configuration& configuration, std::string_view name) {
  if (!is_container_name(name)) return {};
  std::vector<std::string> nodes = list_directory(place_of(configuration, name));
  std::erase(nodes, name_of_node());
  std::ranges::sort(nodes);
  return nodes;
}

}  // namespace mlctr
