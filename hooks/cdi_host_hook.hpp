// A CDI file's hook that is a program of the host's own: run where the admin allows it (cdi.allowed_hooks), and where
// nobody but root can have put another program in its place.
#pragma once

#include <string>

#include "hooks/cdi_spec.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"
#include "runtime/device_hooks.hpp"

namespace mlctr::hooks {

/// Whether its program is among the allowed ones: by its real path, so that a link leads to no other.
bool is_allowed_hook(const HostView& host, const HookSettings& settings, const CdiHook& hook);

/// `origin`: "FILE:LINE". Throws Error where the hook is not allowed, belongs to somebody but root (the directories
/// above it too), or wants to run at another time than while the container is made.
runtime::DeviceHook plan_host_hook(const HostView& host, const HookSettings& settings, const CdiHook& hook,
                                   const std::string& origin);

}  // namespace mlctr::hooks
