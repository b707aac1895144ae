// A mount of a CDI file as one of a plan. Source: the OCI runtime specification's "Mounts", mount(8).
#pragma once

#include "hooks/cdi_spec.hpp"
#include "runtime/mount.hpp"

namespace mlctr::hooks {

/// Binds, and tmpfs. Throws DocumentError for other filesystems and unknown options.
runtime::Mount plan_cdi_mount(const CdiMount& mount);

}  // namespace mlctr::hooks
