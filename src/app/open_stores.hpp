// The stores to look things up in.
#pragma once

#include <vector>

#include "app/configuration.hpp"
#include "store/container_store.hpp"
#include "store/store.hpp"

namespace mlctr {

/// The user's own store first, then the extra ones that exist; none of them is created or written to.
std::vector<Store> open_stores(const Configuration& configuration);

/// The user's own store alone, for reading. Throws Error where there can be none at its place.
Store open_own_store(const Configuration& configuration);

ContainerStore open_containers(const Configuration& configuration);

}  // namespace mlctr
