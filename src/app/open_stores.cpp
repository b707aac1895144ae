#include "app/open_stores.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.hpp"

namespace mlctr {
namespace {

// A store that is not there yet is empty; one that can't ever be there (HOME=/dev/null) is a mistake to tell.
void check_place(const std::filesystem::path& root) {
  struct stat status {};
  if (::stat(root.c_str(), &status) == 0 || errno != ENOTDIR) return;
  throw Error(fmt::format("cannot open the store {}: a part of its path is not a directory", root.string()),
              "set MLCTR_STORE (or HOME) to a directory of your own");
}

}  // namespace

Store open_own_store(const Configuration& configuration) {
  check_place(configuration.store);
  return {configuration.store, Store::Access::read_only};
}

std::vector<Store> open_stores(const Configuration& configuration) {
  std::vector<Store> stores{open_own_store(configuration)};
  for (const std::filesystem::path& root : configuration.extra_stores) {
    if (root != configuration.store) stores.emplace_back(root, Store::Access::read_only);
  }
  return stores;
}

ContainerStore open_containers(const Configuration& configuration) {
  return ContainerStore(configuration.containers.empty() ? configuration.store / "containers"
                                                         : configuration.containers);
}

}  // namespace mlctr
