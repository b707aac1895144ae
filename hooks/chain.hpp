// The hooks in their order, and what they make of a container together. Each is a pure function of what it is given:
// it looks at the host, and changes nothing.
#pragma once

#include <span>
#include <string_view>

#include "hooks/edits.hpp"
#include "hooks/host_view.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

struct Hook {
  std::string_view name;  ///< becomes the origin of all it returns, where the hook left that empty
  Edits (*plan)(const HostView& host, const HookRequest& request);
};

/// All of them, in the order they run.
std::span<const Hook> hook_chain();

/// The edits of all, merged, with the tmpfs they need. Throws Error that names the hook: "nvidia: no GPU 9 here".
Edits plan_edits(const HostView& host, const HookRequest& request, std::span<const Hook> hooks = hook_chain());

}  // namespace mlctr::hooks
