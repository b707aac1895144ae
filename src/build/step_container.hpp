// The container that a step of a build runs in: the stage's root directory with a new upper directory over it, root
// inside, nothing of the host's but the network.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "build/step_job.hpp"
#include "runtime/container.hpp"
#include "runtime/supervise.hpp"

namespace mlctr::build {

struct StepContainer {
  std::vector<std::filesystem::path> stack;                 ///< of the rootfs, the image first
  std::vector<std::vector<std::filesystem::path>> sources;  ///< the same of other roots (BuiltContainer::stacks)
  std::filesystem::path upper, work;
  std::vector<runtime::Mount> mounts{};
  int own_namespaces = 0;             ///< CLONE_NEWPID …
  std::vector<int> not_for_server{};  ///< descriptors whose end others wait for
};

/// Forks; `inside` is called in the container, as the first process of its pid namespace where it has one. What it
/// throws is thrown here, as an Error with the same words. `meanwhile` is called here. Call it in a single-threaded
/// process.
runtime::ProgramEnd run_in_step_container(const StepContainer& container, const std::filesystem::path& scratch,
                                          const std::function<void(runtime::BuiltContainer&)>& inside,
                                          const std::function<void()>& meanwhile);

/// /proc, /sys, a /dev of its own, the network's files.
std::vector<runtime::Mount> step_mounts(int own_namespaces);

/// The paths at and above `targets`, as far as mounting there may have made them.
std::set<std::string> stubs_of(const std::vector<std::string>& targets);

}  // namespace mlctr::build
