// What hooks add to a container, as the runtime carries it out.
#pragma once

#include <optional>
#include <vector>

#include "runtime/device_hooks.hpp"
#include "runtime/loader_library.hpp"
#include "runtime/mount.hpp"

namespace mlctr::runtime {

struct LoaderEdits {
  std::vector<LoaderLibrary> libraries;
  std::optional<ForwardCompat> forward_compat;
};

struct ContainerEdits {
  std::vector<Mount> mounts;
  LoaderEdits loader;
  std::vector<DeviceHook> hooks;  ///< run once all of that is there
};

}  // namespace mlctr::runtime
