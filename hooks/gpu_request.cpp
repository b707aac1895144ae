#include "hooks/gpu_request.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/job_gpus.hpp"
#include "hooks/list_words.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

using Which = GpuRequest::Which;

constexpr std::string_view k_nvidia_kind = "nvidia.com/gpu=";
constexpr const char* k_gpus_hint = "it takes all, none, a count, device=0,1 (indices, UUIDs, PCI ids), capabilities=…";

// As docker's command line is: fields between commas, quotes around what has commas of its own.
std::vector<std::string> quoted_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  bool is_quoted = false;
  for (const char c : text) {
    if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == ',' && !is_quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (is_quoted) throw UsageError(fmt::format("--gpus {}: a quote is not closed", printable(text)), k_gpus_hint);
  return fields;
}

void add_names(GpuRequest& request, std::string_view list) {
  request.which = Which::named;
  for (const std::string_view name : list_words(list)) request.names.emplace_back(name);
}

void set_count(GpuRequest& request, std::string_view text, std::string_view whole) {
  if (text == "all" || text == "-1") {
    request.which = Which::all;
    return;
  }
  const auto count = whole_number(text);
  if (!count) throw UsageError(fmt::format("--gpus {}: what is '{}'?", printable(whole), printable(text)), k_gpus_hint);
  if (*count == 0) {
    throw UsageError(fmt::format("--gpus {}: no GPU, or the one with number 0?", printable(whole)),
                     "--gpus none is the driver without a GPU, --gpus device=0 is GPU 0");
  }
  request.which = Which::count;
  request.count = *count;
}

void take_option(GpuRequest& request, std::string_view key, std::string_view value, std::string_view whole) {
  if (key == "device") return add_names(request, value);
  if (key == "count") return set_count(request, value, whole);
  if (key == "capabilities") {
    request.capabilities += (request.capabilities.empty() ? "" : ",") + std::string(value);
    return;
  }
  if (key == "driver" && value == "nvidia") return;
  throw UsageError(fmt::format("--gpus {}: what is '{}={}'?", printable(whole), printable(key), printable(value)),
                   k_gpus_hint);
}

// What docker calls "gpu" and "nvidia" is no capability of the driver's.
std::string without_dockers(std::string_view capabilities) {
  std::string kept;
  for (const std::string_view word : list_words(capabilities)) {
    if (word != "gpu" && word != "nvidia") kept += (kept.empty() ? "" : ",") + std::string(word);
  }
  return kept;
}

std::optional<GpuRequest> request_of_devices(const std::vector<std::string>& devices) {
  GpuRequest request;
  for (const std::string& device : devices) {
    if (!device.starts_with(k_nvidia_kind)) continue;
    const std::string name = device.substr(k_nvidia_kind.size());
    request.origin += (request.origin.empty() ? "--device " : ",") + device;
    if (name == "all") request.which = Which::all;
    if (name != "all") request.names.push_back(name);
  }
  if (request.origin.empty()) return std::nullopt;
  if (request.which != Which::all) request.which = Which::named;
  return request;
}

GpuRequest request_of_image(const runtime::Environment& environment, const runtime::Environment& job) {
  const auto found = environment.variables().find("NVIDIA_VISIBLE_DEVICES");
  if (found != environment.variables().end()) {
    GpuRequest request = parse_visible_devices(found->second.value);
    request.asker = found->second.origin == "--env" ? Asker::user : Asker::image;
    request.origin =
        fmt::format("NVIDIA_VISIBLE_DEVICES={} ({})", printable(found->second.value), found->second.origin);
    return request;
  }
  const auto of_step = gpus_of_step(job);
  if (of_step && !of_step->empty()) {
    GpuRequest given;
    given.which = Which::all;
    given.asker = Asker::image;
    given.origin = "the Slurm step's GPUs";
    return given;
  }
  GpuRequest legacy;
  legacy.origin = "CUDA_VERSION (image)";
  legacy.asker = Asker::image;
  const bool is_legacy = environment.has("CUDA_VERSION") && environment.value("NVIDIA_REQUIRE_CUDA").empty();
  if (is_legacy) legacy.which = Which::all;
  return legacy;
}

}  // namespace

GpuRequest parse_gpus_option(std::string_view text) {
  if (trimmed(text).empty()) throw UsageError("--gpus '': which GPUs?", k_gpus_hint);
  GpuRequest request;
  request.origin = fmt::format("--gpus {}", printable(text));
  const std::vector<std::string> fields = quoted_fields(text);
  const bool is_list = fields.size() > 1 || fields[0].find(':') != std::string::npos;
  for (const std::string& field : fields) {
    const std::string_view word = trimmed(field);
    const std::size_t equals = word.find('=');
    if (word.empty())
      throw UsageError(fmt::format("--gpus {}: nothing between two commas", printable(text)), k_gpus_hint);
    if (equals != word.npos && !word.starts_with(k_nvidia_kind)) {
      take_option(request, word.substr(0, equals), word.substr(equals + 1), text);
    } else if (word == "all") {
      request.which = Which::all;
    } else if (word == "none" || word == "void") {
      request.which = word == "none" ? Which::none : Which::nothing;
    } else if (!is_list && whole_number(word)) {
      set_count(request, word, text);
    } else {
      add_names(request, word.starts_with(k_nvidia_kind) ? word.substr(k_nvidia_kind.size()) : word);
    }
  }
  if (request.which == Which::nothing && text.find("void") == text.npos) request.which = Which::all;  // options alone
  request.capabilities = without_dockers(request.capabilities);
  if (request.which == Which::named && request.names.empty()) {
    throw UsageError(fmt::format("--gpus {}: which device?", printable(text)), k_gpus_hint);
  }
  return request;
}

GpuRequest parse_visible_devices(std::string_view text) {
  const auto words = list_words(text);
  GpuRequest request;
  if (words.empty()) return request;
  if (words.size() == 1 && (words[0] == "void" || words[0] == "none" || words[0] == "all")) {
    request.which = words[0] == "all" ? Which::all : words[0] == "none" ? Which::none : Which::nothing;
    return request;
  }
  request.which = Which::named;
  for (const std::string_view word : words) {
    if (word == "void" || word == "none") {
      throw Error(fmt::format("NVIDIA_VISIBLE_DEVICES={}: '{}' stands alone or not at all", printable(text), word));
    }
    if (word == "all") request.which = Which::all;
    request.names.emplace_back(word.starts_with(k_nvidia_kind) ? word.substr(k_nvidia_kind.size()) : word);
  }
  return request;
}

GpuRequest gpu_request(const HookRequest& request) {
  GpuRequest asked;
  const auto of_devices = request_of_devices(request.devices);
  if (request.gpus) {
    asked = parse_gpus_option(*request.gpus);
  } else if (of_devices) {
    asked = *of_devices;
  } else {
    asked = request_of_image(request.environment, request.job);
  }
  if (asked.capabilities.empty()) asked.capabilities = request.environment.value("NVIDIA_DRIVER_CAPABILITIES");
  return asked;
}

}  // namespace mlctr::hooks
