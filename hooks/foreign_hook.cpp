#include "hooks/foreign_hook.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::chrono::seconds k_timeout{30};

// Whoever may write to one of the directories could put another program there.
void check_chain(const HostView& host, const std::filesystem::path& path) {
  std::filesystem::path part;
  for (const auto& name : path) {
    part /= name;
    const auto found = host.find(part);
    if (!found) throw Error(fmt::format("the hook {} is not there", printable(path.string(), 4096)));
    if (found->owner != 0 || (found->mode & (S_IWGRP | S_IWOTH)) != 0) {
      throw Error(fmt::format("the hook {} does not run: others than root may change {}", printable(path.string(), 4096),
                              printable(part.string(), 4096)));
    }
  }
}

}  // namespace

void add_foreign_hook(Edits& edits, const HostView& host, const HookRequest& request, const CdiHook& hook,
                      const std::string& origin) {
  const auto& allowed = request.settings.cdi_allowed_hooks;
  if (std::ranges::find(allowed, std::filesystem::path(hook.path)) == allowed.end()) {
    throw Error(fmt::format("the device wants {} to be run on the host", printable(hook.path, 4096)),
                "an admin who trusts that program allows it in /etc/mlctr/mlctr.toml: cdi.allowed_hooks = [\"PATH\"]");
  }
  check_chain(host, hook.path);
  edits.host_programs.push_back({.path = host.find(hook.path)->path,
                                 .arguments = hook.arguments,
                                 .timeout = hook.timeout.value_or(k_timeout),
                                 .origin = origin});
}

}  // namespace mlctr::hooks
