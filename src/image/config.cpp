#include "image/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/json_value.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_diff_ids = 1000;  // as in a manifest

std::vector<Digest> parse_diff_ids(const JsonValue& root) {
  const JsonValue rootfs = root.at("rootfs");
  if (const std::string type = rootfs.text_of("type"); !type.empty() && type != "layers") {
    rootfs.at("type").fail(fmt::format("root filesystems of type {} are not supported", printable(type)));
  }
  std::vector<Digest> diff_ids;
  const auto list = rootfs.find("diff_ids");
  if (!list) return diff_ids;  // an image without layers may say null
  for (const JsonValue& diff_id : list->elements(k_max_diff_ids)) diff_ids.push_back(diff_id.as_digest());
  return diff_ids;
}

// Absent and null are the same empty list everywhere here, as Go's tools write either.
std::vector<std::string> strings_of(const JsonValue& object, std::string_view name) {
  const auto member = object.find(name);
  return member ? member->as_strings() : std::vector<std::string>();
}

// Docker once wrote a lone string where a list is expected now, and still reads it.
std::vector<std::string> words_of(const JsonValue& object, std::string_view name) {
  const auto member = object.find(name);
  if (member && member->is_string()) return {member->as_string()};
  return member ? member->as_strings() : std::vector<std::string>();
}

// A set, which JSON has as an object of empty objects.
std::vector<std::string> names_of(const JsonValue& object, std::string_view name) {
  std::vector<std::string> names;
  if (const auto member = object.find(name)) {
    for (const auto& [key, value] : member->members()) names.push_back(key);
  }
  return names;
}

std::map<std::string, std::string> parse_labels(const JsonValue& object) {
  std::map<std::string, std::string> labels;
  if (const auto member = object.find("Labels")) {
    for (const auto& [key, value] : member->members()) labels.emplace(key, value.is_null() ? "" : value.as_string());
  }
  return labels;
}

void parse_process(const JsonValue& process, ImageConfig& config) {
  config.environment = strings_of(process, "Env");
  // Without a name or a value there is nothing to set; Docker leaves such entries out as well.
  std::erase_if(config.environment, [](const std::string& entry) {
    const std::size_t equals = entry.find('=');
    return equals == std::string::npos || equals == 0;
  });
  config.entrypoint = words_of(process, "Entrypoint");
  config.command = words_of(process, "Cmd");
  config.shell = words_of(process, "Shell");
  config.working_directory = process.text_of("WorkingDir");
  config.user = process.text_of("User");
  config.stop_signal = process.text_of("StopSignal");
  config.volumes = names_of(process, "Volumes");
  config.exposed_ports = names_of(process, "ExposedPorts");
  config.labels = parse_labels(process);
}

}  // namespace

ImageConfig parse_image_config(std::string_view body) {
  const nlohmann::json document = parse_json(body, {.max_bytes = k_max_config_bytes});
  const JsonValue root(document);
  ImageConfig config;
  config.platform = {.os = root.text_of("os"),
                     .architecture = root.text_of("architecture"),
                     .variant = root.text_of("variant"),
                     .os_version = root.text_of("os.version")};
  // Docker left "os" out until 1.3.
  if (config.platform.os.empty()) config.platform.os = "linux";
  // For people only: nothing depends on them.
  config.created = root.text_of("created");
  config.author = root.text_of("author");
  config.diff_ids = parse_diff_ids(root);
  if (const auto process = root.find("config")) parse_process(*process, config);
  return config;
}

}  // namespace mlctr
