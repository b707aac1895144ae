#include "app/open_stores.hpp"

namespace mlctr {

std::vector<Store> open_stores(const Configuration& configuration) {
  std::vector<Store> stores{Store(configuration.store, Store::Access::read_only)};
  for (const std::filesystem::path& root : configuration.extra_stores) {
    if (root != configuration.store) stores.emplace_back(root, Store::Access::read_only);
  }
  return stores;
}

}  // namespace mlctr
