#include "hooks/device_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/cdi.hpp"
#include "hooks/gpu_request.hpp"
#include "hooks/job_gpus.hpp"
#include "hooks/list_words.hpp"
#include "hooks/render_nodes.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

constexpr unsigned k_intel = 0x8086;

std::optional<std::size_t> find_device(std::string_view word, const std::vector<DeviceNames>& devices) {
  if (const auto place = whole_number(word)) return *place < devices.size() ? std::optional(*place) : std::nullopt;
  const auto is_it = [&](const DeviceNames& names) {
    return std::ranges::any_of(names, [&](const std::string& name) { return lowered(name) == lowered(word); });
  };
  const auto found = std::ranges::find_if(devices, is_it);
  if (found == devices.end()) return std::nullopt;
  return static_cast<std::size_t>(found - devices.begin());
}

std::string list_of(const std::vector<DeviceNames>& devices) {
  if (devices.empty()) return "this machine shows none to you";
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    lines.push_back(devices[i].empty() ? fmt::format("{}", i)
                                       : fmt::format("{} ({})", i, fmt::join(devices[i], ", ")));
  }
  return fmt::format("there are: {}", fmt::join(lines, ", "));
}

// Absent where the step sees all that there is to see.
std::optional<std::vector<std::size_t>> step_places(const HookRequest& request, std::size_t visible) {
  const auto given = gpus_of_step(request.job);
  // As many as it was given: its device cgroup shows no others, and the numbers are the node's, not the step's.
  if (!given || visible <= given->size()) return std::nullopt;
  std::set<std::size_t> places;
  for (const unsigned place : *given) {
    if (place < visible) places.insert(place);
  }
  return std::vector<std::size_t>(places.begin(), places.end());
}

}  // namespace

bool asks_for_nothing(std::string_view text) {
  return text.empty() || text == "none" || text == "void";
}

std::vector<std::size_t> choose_of_step(std::string_view text, const std::vector<DeviceNames>& devices,
                                        std::string_view what, const HookRequest& request) {
  const auto given = step_places(request, devices.size());
  if (!given) return choose_devices(text, devices, what);
  std::vector<DeviceNames> names;
  for (const std::size_t place : *given) names.push_back(devices[place]);
  std::vector<std::size_t> chosen;
  for (const std::size_t place : choose_devices(text, names, what)) chosen.push_back((*given)[place]);
  return chosen;
}

std::vector<std::size_t> choose_devices(std::string_view text, const std::vector<DeviceNames>& devices,
                                        std::string_view what) {
  std::set<std::size_t> chosen;
  if (asks_for_nothing(text)) return {};
  for (const std::string_view word : list_words(text)) {
    if (word == "all") {
      for (std::size_t i = 0; i < devices.size(); ++i) chosen.insert(i);
    } else if (const auto found = find_device(word, devices)) {
      chosen.insert(*found);
    } else {
      throw Error(fmt::format("no {} {}", what, printable(word)), list_of(devices));
    }
  }
  return {chosen.begin(), chosen.end()};
}

std::optional<std::string> native_device_list(const HostView& host, const HookRequest& request, const CdiKind& kind) {
  std::vector<std::string> names;
  for (const CdiName& name : native_devices(host, request)) {
    if (name.kind == kind) names.push_back(name.device);
  }
  return names.empty() ? std::nullopt : std::optional(fmt::format("{}", fmt::join(names, ",")));
}

std::string gpus_option_list(std::string_view option) {
  const GpuRequest asked = parse_gpus_option(option);
  switch (asked.which) {
    case GpuRequest::Which::nothing:
    case GpuRequest::Which::none:
      return "none";
    case GpuRequest::Which::all:
      return "all";
    case GpuRequest::Which::count:
      break;
    case GpuRequest::Which::named:
      return fmt::format("{}", fmt::join(asked.names, ","));
  }
  std::vector<unsigned> first(asked.count);
  std::iota(first.begin(), first.end(), 0U);
  return fmt::format("{}", fmt::join(first, ","));
}

bool is_for_cdi(std::string_view list, const CdiKind& own) {
  const auto words = list_words(list);
  return !words.empty() && std::ranges::all_of(words, [&](std::string_view word) {
    const auto name = CdiName::parse(word);
    return name && name->kind != own;
  });
}

GpuVendor gpu_vendor(const HostView& host) {
  if (host.has("/proc/driver/nvidia") || host.has("/dev/nvidiactl")) return GpuVendor::nvidia;
  if (host.has("/dev/kfd")) return GpuVendor::amd;
  return list_render_nodes(host, k_intel).empty() ? GpuVendor::none : GpuVendor::intel;
}

}  // namespace mlctr::hooks
