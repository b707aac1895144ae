#include "hooks/cdi.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/cdi_catalogue.hpp"
#include "hooks/cdi_plan.hpp"
#include "hooks/list_words.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::array<std::string_view, 4> k_native_kinds{"nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu",
                                                         "habana.ai/gaudi"};

CdiName parse_option(std::string_view text) {
  if (auto name = CdiName::parse(text)) return std::move(*name);
  const std::string shown = printable(text, 4096);
  throw UsageError(fmt::format("--device takes VENDOR/CLASS=NAME, as nvidia.com/gpu=0, not {}", shown),
                   text.starts_with("/dev/") ? fmt::format("a node of the host's: --mount {0}:{0}", shown) : "");
}

// Of a list of GPUs those that are CDI names; the others are for the vendors' hooks.
void add_names_in(std::vector<CdiName>& names, std::string_view list) {
  for (const std::string_view word : list_words(list)) {
    if (auto name = CdiName::parse(word)) names.push_back(std::move(*name));
  }
}

bool is_native_kind(const CdiKind& kind) {
  return std::ranges::find(k_native_kinds, kind.text()) != k_native_kinds.end();
}

CdiCatalogue catalogue_of(const HostView& host, const HookRequest& request) {
  return read_cdi_catalogue(host, request.settings.cdi_directories);
}

bool is_native(const CdiCatalogue& catalogue, const CdiName& name) {
  return is_native_kind(name.kind) && !has_cdi_kind(catalogue, name.kind);
}

}  // namespace

std::vector<CdiName> requested_cdi_devices(const HookRequest& request) {
  std::vector<CdiName> names;
  for (const std::string& device : request.devices) names.push_back(parse_option(device));
  if (request.gpus) {
    add_names_in(names, *request.gpus);
  } else {
    add_names_in(names, request.environment.value("NVIDIA_VISIBLE_DEVICES"));
  }
  std::vector<CdiName> once;
  for (CdiName& name : names) {
    if (std::ranges::find(once, name) == once.end()) once.push_back(std::move(name));
  }
  return once;
}

std::vector<CdiName> native_devices(const HostView& host, const HookRequest& request) {
  std::vector<CdiName> names = requested_cdi_devices(request);
  std::erase_if(names, [](const CdiName& name) { return !is_native_kind(name.kind); });
  if (names.empty()) return names;
  const CdiCatalogue catalogue = catalogue_of(host, request);
  std::erase_if(names, [&](const CdiName& name) { return !is_native(catalogue, name); });
  return names;
}

bool is_given_by_cdi(const HostView& host, const HookRequest& request, const CdiKind& kind) {
  const std::vector<CdiName> names = requested_cdi_devices(request);
  const bool is_asked = std::ranges::any_of(names, [&](const CdiName& name) { return name.kind == kind; });
  return is_asked && has_cdi_kind(catalogue_of(host, request), kind);
}

Edits cdi_edits(const HostView& host, const HookRequest& request) {
  std::vector<CdiName> names = requested_cdi_devices(request);
  if (names.empty()) return {};
  const CdiCatalogue catalogue = catalogue_of(host, request);
  std::erase_if(names, [&](const CdiName& name) { return is_native(catalogue, name); });
  Edits edits = plan_cdi_devices(host, request, resolve_cdi_devices(catalogue, names));
  for (const BrokenCdiFile& file : catalogue.broken) {
    edits.warnings.push_back({"a CDI file is not used: " + file.text(), ""});
  }
  return edits;
}

}  // namespace mlctr::hooks
