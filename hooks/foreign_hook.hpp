// A CDI file's hook that is no one of NVIDIA's: a program of the host's, which an admin must have allowed.
#pragma once

#include <string>

#include "hooks/cdi_spec.hpp"
#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// Throws Error where cdi.allowed_hooks does not have its path, or somebody but root could change what lies there.
void add_foreign_hook(Edits& edits, const HostView& host, const HookRequest& request, const CdiHook& hook,
                      const std::string& origin);

}  // namespace mlctr::hooks
