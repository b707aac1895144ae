// The use case `mlctr rm`: a named container goes, with what was changed in it.
#pragma once

#include <string_view>

#include "app/configuration.hpp"
#include "app/runtime_directory.hpp"

namespace mlctr {

enum class InUse { refuse, end_processes };

/// Of several that remove one container at once, one does and the others throw. end_processes: those in it get SIGTERM,
/// and SIGKILL where they are still there after some seconds. Throws Error where there is no such container, or it is
/// in use and is to be left then.
void remove_container(const Configuration& configuration, std::string_view name, InUse in_use);

/// Once a program has ended: removes the container unless others are at work in it still: false then.
bool remove_idle_container(const Configuration& configuration, const RuntimeDirectory& directory,
                           std::string_view name);

}  // namespace mlctr
