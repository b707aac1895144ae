#include "hooks/cdi_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <set>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "hooks/document.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::array<std::string_view, 10> k_versions{"0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0",
                                                      "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"};
constexpr std::size_t k_0_4 = 3, k_0_5 = 4, k_0_6 = 5, k_0_7 = 6, k_1_1 = 9;  // places in k_versions
constexpr std::int64_t k_most_id = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t k_most_seconds = 24 * 3600;
constexpr std::array<std::string_view, 6> k_stages{"prestart",       "createRuntime", "createContainer",
                                                   "startContainer", "poststart",     "poststop"};

std::size_t version_of(const DocumentNode& node) {
  std::string_view text = text_of(node, "cdiVersion");
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto found = std::ranges::find(k_versions, text);
  if (found != k_versions.end()) return static_cast<std::size_t>(found - k_versions.begin());
  throw DocumentError(node.line, fmt::format("CDI version {} is not known here: {} to {} are", printable(text),
                                             k_versions.front(), k_versions.back()));
}

class SpecReader {
 public:
  CdiSpec read(const DocumentNode& document) {
    DocumentFields fields(document, "a CDI file");
    version_ = version_of(fields.require("cdiVersion"));
    CdiSpec spec{.kind = kind_of(fields.require("kind")), .devices = {}, .edits = {}};
    read_annotations(fields);
    fields.for_each("devices", [&](const DocumentNode& node) { spec.devices.push_back(read_device(node)); });
    if (spec.devices.empty()) throw DocumentError(document.line, "it has no devices");
    if (const DocumentNode* edits = fields.find("containerEdits")) spec.edits = read_edits(*edits);
    fields.finish();
    check_names(spec.devices);
    return spec;
  }

 private:
  void need(std::size_t version, const DocumentNode& node, std::string_view what) const {
    if (version_ >= version) return;
    throw DocumentError(node.line, fmt::format("{} needs cdiVersion {}, the file says {}", what, k_versions[version],
                                               k_versions[version_]));
  }

  CdiKind kind_of(const DocumentNode& node) const {
    const std::string& text = text_of(node, "kind");
    auto kind = CdiKind::parse(text);
    if (!kind) throw DocumentError(node.line, fmt::format("{} is no kind: vendor/class", printable(text)));
    if (kind->device_class.find('.') != std::string::npos) need(k_0_6, node, "a dot in a class");
    return *kind;
  }

  void read_annotations(DocumentFields& fields) const {
    const DocumentNode* node = fields.find("annotations");
    if (node == nullptr) return;
    const auto* members = std::get_if<std::vector<DocumentMember>>(&node->value);
    if (members == nullptr) throw DocumentError(node->line, "annotations must be a map of texts");
    for (const DocumentMember& member : *members) text_of(member.value, "an annotation");
    if (!members->empty()) need(k_0_6, *node, "annotations");
  }

  CdiDevice read_device(const DocumentNode& node) const {
    DocumentFields fields(node, "a device");
    CdiDevice device{.line = node.line, .name = fields.required_text("name"), .edits = {}};
    const DocumentNode& name = fields.require("name");
    if (!is_cdi_device_name(device.name)) {
      throw DocumentError(
          name.line, fmt::format("{} is no name of a device: letters, digits, . _ - and :", printable(device.name)));
    }
    if (is_digit(device.name.front())) need(k_0_5, name, "a device's name with a digit first");
    read_annotations(fields);
    if (const DocumentNode* edits = fields.find("containerEdits")) device.edits = read_edits(*edits);
    fields.finish();
    return device;
  }

  CdiEdits read_edits(const DocumentNode& node) const {
    DocumentFields fields(node, "containerEdits");
    CdiEdits edits;
    fields.for_each("env", [&](const DocumentNode& item) { edits.environment.push_back(variable_of(item)); });
    fields.for_each("deviceNodes", [&](const DocumentNode& item) { edits.nodes.push_back(read_node(item)); });
    fields.for_each("mounts", [&](const DocumentNode& item) { edits.mounts.push_back(read_mount(item)); });
    fields.for_each("hooks", [&](const DocumentNode& item) { edits.hooks.push_back(read_hook(item)); });
    read_groups(fields, edits);
    read_intel_rdt(fields, edits);
    read_net_devices(fields, edits);
    fields.finish();
    return edits;
  }

  static std::string variable_of(const DocumentNode& node) {
    const std::string& text = text_of(node, "env");
    const std::size_t equals = text.find('=');
    if (equals != 0 && equals != text.npos) return text;
    throw DocumentError(node.line, fmt::format("{} is no variable: NAME=VALUE", printable(text)));
  }

  static std::string absolute(DocumentFields& fields, std::string_view key) {
    std::string path = fields.required_text(key);
    if (path.starts_with('/')) return path;
    throw DocumentError(fields.require(key).line, fmt::format("{} is not absolute: {}", key, printable(path, 4096)));
  }

  CdiNode read_node(const DocumentNode& node) const {
    DocumentFields fields(node, "a device node");
    CdiNode read{.line = node.line, .path = absolute(fields, "path"), .host_path = {}};
    if (const DocumentNode* host_path = fields.find("hostPath")) {
      need(k_0_5, *host_path, "hostPath");
      read.host_path = absolute(fields, "hostPath");
    } else {
      read.host_path = read.path;
    }
    check_node(fields, node.line);
    fields.finish();
    return read;
  }

  // What a bound node has of its own: the kernel's number, owner and mode.
  static void check_node(DocumentFields& fields, std::size_t line) {
    const std::string type = fields.text("type"), permissions = fields.text("permissions");
    if (type.size() > 1 || std::string_view("bcup").find(type) == std::string_view::npos) {
      throw DocumentError(line, fmt::format("{} is no type of a device node: b, c, u or p", printable(type)));
    }
    if (permissions != "none" && permissions.find_first_not_of("rwm") != std::string::npos) {
      throw DocumentError(line, fmt::format("{} are no permissions: r, w and m, or none", printable(permissions)));
    }
    for (const char* key : {"major", "minor"}) {
      if (const DocumentNode* number = fields.find(key)) number_of(*number, key, -1, k_most_id);
    }
    for (const char* key : {"fileMode", "uid", "gid"}) {
      if (const DocumentNode* number = fields.find(key)) number_of(*number, key, 0, k_most_id);
    }
  }

  CdiMount read_mount(const DocumentNode& node) const {
    DocumentFields fields(node, "a mount");
    CdiMount mount{.line = node.line,
                   .host_path = fields.required_text("hostPath"),
                   .container_path = absolute(fields, "containerPath"),
                   .type = fields.text("type"),
                   .options = fields.texts("options")};
    if (std::filesystem::path(mount.container_path).lexically_normal() == "/") {
      throw DocumentError(node.line, "a mount's containerPath is the whole container");
    }
    if (const DocumentNode* type = fields.find("type"); type != nullptr && !mount.type.empty()) {
      need(k_0_4, *type, "a mount's type");
    }
    fields.finish();
    return mount;
  }

  static CdiHook read_hook(const DocumentNode& node) {
    DocumentFields fields(node, "a hook");
    CdiHook hook{.line = node.line,
                 .stage = fields.required_text("hookName"),
                 .path = absolute(fields, "path"),
                 .arguments = fields.texts("args"),
                 .timeout = {},
                 .environment = {}};
    if (std::ranges::find(k_stages, hook.stage) == k_stages.end()) {
      throw DocumentError(
          node.line, fmt::format("{} is no time for a hook: {}", printable(hook.stage), fmt::join(k_stages, ", ")));
    }
    fields.for_each("env", [&](const DocumentNode& item) { hook.environment.push_back(variable_of(item)); });
    if (const DocumentNode* timeout = fields.find("timeout")) {
      hook.timeout = std::chrono::seconds(number_of(*timeout, "timeout", 1, k_most_seconds));
    }
    fields.finish();
    return hook;
  }

  void read_groups(DocumentFields& fields, CdiEdits& edits) const {
    bool has_groups = false;
    for (const char* key : {"additionalGids", "additionalGIDs"}) {  // the code's and the document's spelling
      fields.for_each(key, [&](const DocumentNode& item) {
        need(k_0_7, item, "additionalGids");
        has_groups |= number_of(item, "additionalGids", 0, k_most_id) != 0;
      });
    }
    if (has_groups) edits.not_possible.push_back("additionalGids");
  }

  void read_intel_rdt(DocumentFields& fields, CdiEdits& edits) const {
    const DocumentNode* node = fields.find("intelRdt");
    if (node == nullptr) return;
    need(k_0_7, *node, "intelRdt");
    DocumentFields rdt(*node, "intelRdt");
    for (const char* key : {"closID", "l3CacheSchema", "memBwSchema"}) rdt.text(key);
    if (!rdt.texts("schemata").empty()) need(k_1_1, *node, "schemata");
    // Versions before 1.1 had the latter two.
    for (const char* key : {"enableMonitoring", "enableCMT", "enableMBM"}) {
      if (const DocumentNode* truth = rdt.find(key)) truth_of(*truth, key);
    }
    rdt.finish();
    edits.not_possible.push_back("intelRdt");
  }

  void read_net_devices(DocumentFields& fields, CdiEdits& edits) const {
    bool has_devices = false;
    fields.for_each("netDevices", [&](const DocumentNode& item) {
      need(k_1_1, item, "netDevices");
      DocumentFields device(item, "a network device");
      device.required_text("hostInterfaceName");
      device.required_text("name");
      device.finish();
      has_devices = true;
    });
    if (has_devices) edits.not_possible.push_back("netDevices");
  }

  static void check_names(const std::vector<CdiDevice>& devices) {
    std::set<std::string_view> names;
    for (const CdiDevice& device : devices) {
      if (!names.insert(device.name).second) {
        throw DocumentError(device.line, fmt::format("the device {} is there twice", device.name));
      }
    }
  }

  std::size_t version_ = 0;
};

}  // namespace

CdiSpec parse_cdi_spec(std::string_view text) {
  return SpecReader().read(parse_document(text));
}

}  // namespace mlctr::hooks
