#include "hooks/render_nodes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

namespace mlctr::hooks {
namespace {

std::string card_beside(const HostView& host, const std::string& render) {
  for (const std::string& name : host.list(fmt::format("/sys/class/drm/{}/device/drm", render))) {
    if (name.starts_with("card")) return name;
  }
  return "";
}

std::string bus_of(const HostView& host, const std::string& render) {
  const auto target = host.link_target(fmt::format("/sys/class/drm/{}/device", render));
  return target ? std::filesystem::path(*target).filename().string() : "";
}

}  // namespace

std::vector<RenderNode> list_render_nodes(const HostView& host, unsigned vendor) {
  std::vector<RenderNode> nodes;
  for (const std::string& name : host.list("/sys/class/drm")) {
    if (!name.starts_with("renderD") || vendor_of(host, "drm", name) != vendor) continue;
    if (!host.has("/dev/dri/" + name)) continue;
    nodes.push_back({name, card_beside(host, name), bus_of(host, name)});
  }
  return nodes;
}

unsigned vendor_of(const HostView& host, std::string_view device_class, std::string_view name) {
  const std::string text = host.read(fmt::format("/sys/class/{}/{}/device/vendor", device_class, name), 64);
  unsigned vendor = 0;
  if (text.starts_with("0x")) std::from_chars(text.data() + 2, text.data() + text.size(), vendor, 16);
  return vendor;
}

}  // namespace mlctr::hooks
