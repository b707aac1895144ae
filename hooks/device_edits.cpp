#include "hooks/device_edits.hpp"

namespace mlctr::hooks {

void add_device(Edits& edits, const HostView& host, const std::string& path) {
  if (const auto node = host.find(path)) edits.devices.push_back({node->path, path, ""});
}

void hide_device(Edits& edits, const HookRequest& request, const std::string& path) {
  if (request.device_directory == runtime::DeviceDirectory::hosts) edits.hidden.push_back({path, ""});
}

void add_renumbering(Edits& edits, const std::string& variable, std::size_t all,
                     const std::vector<std::size_t>& chosen) {
  if (chosen.size() == all) return;
  runtime::Renumbering renumbering{.variable = variable, .numbers = {}};
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    renumbering.numbers.emplace_back(static_cast<unsigned>(chosen[i]), static_cast<unsigned>(i));
  }
  edits.renumbered.push_back(std::move(renumbering));
}

}  // namespace mlctr::hooks
