// Probes of what the kernel and the admin's settings let a user do. Each changes its process for good: call it in a
// child.
#pragma once

#include "app/finding.hpp"

namespace mlctr {

Finding probe_user_namespaces();
Finding probe_mounts();
Finding probe_remapped_root();
Finding probe_overlay();
Finding probe_fuse();

}  // namespace mlctr
