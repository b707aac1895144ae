// On which nodes there is a container of a name: containers are each node's own, but a store is often shared, and tells
// the nodes that lack one. Only a record: a node may have lost its disk since, or a store may not be shared at all.
//
//   <store>/nodes/<name>/<node>    an empty file
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"

namespace mlctr {

/// Failures of the two are nobody's concern: the container is there, or gone, all the same.
void record_container_here(const Configuration& configuration, std::string_view name);
void forget_container_here(const Configuration& configuration, std::string_view name);

/// Without this one; sorted.
std::vector<std::string> other_nodes_with_container(const Configuration& configuration, std::string_view name);

}  // namespace mlctr
