// Choices of a site about a driver in containers.
#pragma once

namespace mlctr::hooks {

/// automatic: by the image's own note of the drivers it fits (runtime/forward_compat.hpp).
enum class ForwardCompat { automatic, never, always };
/// own: a driver's libraries lie in k_driver_directory. system: where this distribution's packages put them, for
/// programs that open absolute paths.
enum class DriverLayout { own, system };

}  // namespace mlctr::hooks
