// GPUs by their nodes in /dev/dri, as sysfs describes them. Source: the kernel's Documentation/gpu/drm-uapi.rst.
#pragma once

#include <string>
#include <vector>

#include "hooks/host_view.hpp"

namespace mlctr::hooks {

struct RenderNode {
  std::string render;  ///< "renderD128"
  std::string card;    ///< "card0"; empty where there is none
  std::string bus;     ///< "0000:03:00.0"; empty where it is no PCI device
};

/// Those of one PCI vendor (0x1002) that have a node in /dev/dri, by their numbers.
std::vector<RenderNode> list_render_nodes(const HostView& host, unsigned vendor);

/// 0x1002 of /sys/class/CLASS/NAME/device/vendor; 0 where it can't be read.
unsigned vendor_of(const HostView& host, std::string_view device_class, std::string_view name);

}  // namespace mlctr::hooks
