// Small edits that the hooks of several vendors return.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// The host's node at its own path, where the host has it.
void add_device(Edits& edits, const HostView& host, const std::string& path);

/// A node that the container is not to open: nothing to do where its /dev has only what it was given.
void hide_device(Edits& edits, const HookRequest& request, const std::string& path);

/// The job's variable with places among the chosen devices, where that changes it; it goes where nothing is left of
/// it. One that the container's user or image sets stays.
void add_renumbered(Edits& edits, const HookRequest& request, const std::string& name,
                    const std::vector<std::size_t>& chosen);

}  // namespace mlctr::hooks
