#include "hooks/nvidia_gpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "hooks/list_words.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

constexpr const char* k_gpus = "/proc/driver/nvidia/gpus";

// Of "Key: \t value" lines.
std::string_view value_of(std::string_view information, std::string_view key) {
  for (const std::string_view line : list_words(information, '\n')) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
      return trimmed(line.substr(key.size() + 1));
    }
  }
  return {};
}

// "gi3" -> 3
std::optional<unsigned> instance_in(std::string_view name, std::string_view kind) {
  return name.starts_with(kind) ? whole_number(name.substr(kind.size())) : std::nullopt;
}

std::vector<MigDevice> list_mig(const HostView& host, unsigned minor) {
  std::vector<MigDevice> devices;
  const std::string place = fmt::format("/proc/driver/nvidia/capabilities/gpu{}/mig", minor);
  for (const std::string& gi_name : host.list(place)) {
    const auto gi = instance_in(gi_name, "gi");
    if (!gi) continue;
    for (const std::string& ci_name : host.list(fmt::format("{}/{}", place, gi_name))) {
      if (const auto ci = instance_in(ci_name, "ci")) devices.push_back({*gi, *ci, ""});
    }
  }
  return devices;
}

}  // namespace

std::vector<NvidiaGpu> list_nvidia_gpus(const HostView& host) {
  std::vector<NvidiaGpu> gpus;
  for (const std::string& bus : host.list(k_gpus)) {
    const std::string information = host.read(fmt::format("{}/{}/information", k_gpus, bus));
    const auto minor = whole_number(value_of(information, "Device Minor"));
    if (!minor || value_of(information, "GPU Excluded") == "Yes") continue;
    gpus.push_back({.bus = bus,
                    .uuid = std::string(value_of(information, "GPU UUID")),
                    .model = std::string(value_of(information, "Model")),
                    .minor = *minor,
                    .index = 0,
                    .mig = list_mig(host, *minor)});
  }
  std::ranges::sort(gpus, {}, [](const NvidiaGpu& gpu) { return normal_bus_id(gpu.bus); });
  for (std::size_t i = 0; i < gpus.size(); ++i) gpus[i].index = static_cast<unsigned>(i);
  return gpus;
}

std::vector<NvidiaGpu> usable_gpus(const HostView& devices, std::vector<NvidiaGpu> gpus) {
  std::erase_if(gpus, [&](const NvidiaGpu& gpu) { return !devices.may_use(fmt::format("/dev/nvidia{}", gpu.minor)); });
  for (std::size_t i = 0; i < gpus.size(); ++i) gpus[i].index = static_cast<unsigned>(i);
  return gpus;
}

std::optional<std::string> mig_capability_node(const HostView& host, std::string_view access) {
  const std::string minors = host.read("/proc/driver/nvidia-caps/mig-minors", 4u << 20);
  for (const std::string_view line : list_words(minors, '\n')) {
    const auto words = list_words(line, ' ');
    if (words.size() == 2 && words[0] == access && whole_number(words[1])) {
      return fmt::format("/dev/nvidia-caps/nvidia-cap{}", words[1]);
    }
  }
  return std::nullopt;
}

std::string normal_bus_id(std::string_view text) {
  const auto parts = list_words(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return {};
  const auto slot = list_words(parts.back(), '.');
  if (slot.size() != 2) return {};
  const auto hex = [](std::string_view digits) -> std::optional<unsigned> {
    unsigned number = 0;
    const auto [end, mistake] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return mistake == std::errc{} && end == digits.data() + digits.size() ? std::optional(number) : std::nullopt;
  };
  const auto domain = parts.size() == 3 ? hex(parts[0]) : 0u, bus = hex(parts[parts.size() - 2]);
  const auto device = hex(slot[0]), function = hex(slot[1]);
  if (!domain || !bus || !device || !function) return {};
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", *domain, *bus, *device, *function);
}

}  // namespace mlctr::hooks
