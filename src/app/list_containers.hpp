// The use case `mlctr ps`: what runs, and the named containers that don't.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "store/store.hpp"

namespace mlctr {

struct ListedContainer {
  std::string id{};    ///< what exec takes: the name, or a number
  std::string name{};  ///< empty: unnamed
  std::string image{};
  std::vector<std::string> command{};  ///< of the program that started it, or where that has ended of one that runs
  std::vector<pid_t> pids{};           ///< empty: it does not run
  std::int64_t started_at = 0;         ///< seconds since 1970; 0: it does not run
  std::int64_t created_at = 0;         ///< 0: unnamed
  std::uint64_t changes_bytes = 0;     ///< allocated by its upper directory
};

enum class ListedContainers { running, all };

struct ContainerOverview {
  std::vector<ListedContainer> containers{};  ///< by name, the unnamed last
  std::vector<BrokenEntry> broken{};
};

/// Removes the sockets of servers that were killed on the way. Of those that run, created_at and changes_bytes are only
/// there with `all`.
ContainerOverview list_containers(const Configuration& configuration, ListedContainers which);

}  // namespace mlctr
