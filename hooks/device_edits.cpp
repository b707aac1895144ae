#include "hooks/device_edits.hpp"

#include "hooks/device_choice.hpp"

namespace mlctr::hooks {

void add_device(Edits& edits, const HostView& host, const std::string& path) {
  if (const auto node = host.find(path)) edits.devices.push_back({node->path, path, ""});
}

void hide_device(Edits& edits, const HookRequest& request, const std::string& path) {
  if (request.device_directory == runtime::DeviceDirectory::hosts) edits.hidden.push_back({path, ""});
}

void add_renumbered(Edits& edits, const HookRequest& request, const std::string& name,
                    const std::vector<std::size_t>& chosen) {
  if (!request.job.has(name) || request.environment.value(name) != request.job.value(name)) return;
  auto list = renumber_places(request.job.value(name), chosen);
  if (!list) return;
  if (list->empty()) list.reset();
  edits.environment.push_back({name, std::move(list), ""});
}

}  // namespace mlctr::hooks
