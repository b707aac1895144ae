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

/// The job's variable counts places among `all` devices the host shows, the container's among the chosen (rising).
void add_renumbering(Edits& edits, const std::string& variable, std::size_t all, const std::vector<std::size_t>& chosen);

}  // namespace mlctr::hooks
