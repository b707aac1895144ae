#include "app/container_edits.hpp"

#include "hooks/chain.hpp"

namespace mlctr {

hooks::HookSettings hook_settings(const Configuration& configuration) {
  hooks::HookSettings settings;
  settings.driver_root = configuration.gpu_driver_root;
  settings.device_root = configuration.gpu_device_root;
  settings.library_paths = configuration.gpu_library_paths;
  settings.binary_paths = configuration.gpu_binary_paths;
  settings.config_paths = configuration.gpu_config_paths;
  settings.forward_compat = configuration.gpu_forward_compat;
  settings.driver_lib_layout = configuration.gpu_driver_lib_layout;
  settings.cdi_allowed_hooks = configuration.cdi_allowed_hooks;
  return settings;
}

hooks::Edits plan_container_edits(const Configuration& configuration, const RunRequest& request,
                                  const runtime::Environment& environment, const runtime::Host& host) {
  hooks::HookRequest asked{.gpus = request.gpus,
                           .devices = request.devices,
                           .environment = environment,
                           .job = {},
                           .device_directory = request.base.devices,
                           .settings = hook_settings(configuration)};
  asked.job.set_entries(host.environment, "host");
  return hooks::plan_edits(hooks::HostView::of_machine(), asked);
}

}  // namespace mlctr
