// The parts of what NVIDIA's driver and a choice of its GPUs make of a container.
#pragma once

#include <vector>

#include "hooks/edits.hpp"
#include "hooks/gpu_selection.hpp"
#include "hooks/host_view.hpp"
#include "hooks/nvidia_driver.hpp"
#include "hooks/request.hpp"

namespace mlctr::hooks {

/// Libraries in k_driver_directory (or the distribution's places), their links, and what the loader is told.
void add_driver_libraries(Edits& edits, const NvidiaDriver& driver, const HookSettings& settings,
                          NvidiaCapabilities capabilities);

/// Whether the image's libcuda may go before this driver's, is for the runtime to find out in the image.
void set_forward_compat(Edits& edits, const DriverVersion& version, const HookSettings& settings);

void add_driver_programs(Edits& edits, const NvidiaDriver& driver, const HookRequest& request,
                         NvidiaCapabilities capabilities);

/// Sockets of daemons, and the files that tell loaders of graphics and OpenCL about the driver.
void add_driver_files(Edits& edits, const HostView& host, const NvidiaDriver& driver, const HookRequest& request,
                      NvidiaCapabilities capabilities);

/// `devices` is where /dev is. In a container of the host's whole /dev: the nodes that are not to be seen.
void add_gpu_nodes(Edits& edits, const HostView& host, const HostView& devices, const std::vector<SelectedGpu>& selected,
                   const HookRequest& request, NvidiaCapabilities capabilities);

/// /proc/driver/nvidia as it would be with the selected GPUs alone, and ModifyDeviceFiles 0: no program is to make
/// nodes.
void add_driver_proc(Edits& edits, const HostView& host, const std::vector<SelectedGpu>& selected);

}  // namespace mlctr::hooks
