#include <fmt/format.h>
#include <sys/mount.h>

#include <array>
#include <nlohmann/json.hpp>

#include "hooks/edits.hpp"

namespace mlctr::hooks {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Attribute {
  std::uint64_t flag;
  const char* name;
};
constexpr std::array<Attribute, 4> k_attributes{{{MOUNT_ATTR_RDONLY, "ro"},
                                                 {MOUNT_ATTR_NOSUID, "nosuid"},
                                                 {MOUNT_ATTR_NODEV, "nodev"},
                                                 {MOUNT_ATTR_NOEXEC, "noexec"}}};

std::string options_of(std::uint64_t attributes) {
  std::string options;
  for (const Attribute& attribute : k_attributes) {
    if ((attributes & attribute.flag) != 0) options += (options.empty() ? "" : ",") + std::string(attribute.name);
  }
  return options;
}

// What a mount's source adds to its JSON.
struct DescribeSource {
  OrderedJson& json;

  void operator()(const runtime::BindMount& bind) const { json["bind"] = bind.source.string(); }
  void operator()(const runtime::SquashfsMount& squashfs) const { json["squashfs"] = squashfs.file.string(); }
  void operator()(const runtime::TmpfsMount& tmpfs) const { json["tmpfs"] = fmt::format("{:04o}", tmpfs.mode); }
  void operator()(const runtime::FileMount& file) const { json["content"] = file.content; }
  void operator()(const runtime::KernelMount& kernel) const { json["filesystem"] = kernel.filesystem; }
  void operator()(const runtime::LinkNode& link) const { json["link"] = link.target; }
  void operator()(const runtime::DirectoryNode& made) const { json["directory"] = fmt::format("{:04o}", made.mode); }
  void operator()(const runtime::Unmount&) const { json["unmount"] = true; }
  void operator()(const runtime::ContainerTree& tree) const { json["container_tree"] = tree.path; }
  void operator()(const runtime::MovedMount& moved) const { json["moved"] = moved.path; }
  void operator()(const runtime::ChangedMount&) const { json["changed"] = true; }
};

OrderedJson to_value(const runtime::Mount& mount) {
  OrderedJson json;
  std::visit(DescribeSource{json}, mount.source);
  json["target"] = mount.target;
  if (const std::string options = options_of(mount.attributes); !options.empty()) json["options"] = options;
  if (mount.if_missing == runtime::IfMissing::skip) json["optional"] = true;
  return json;
}
OrderedJson to_value(const DeviceNode& node) {
  return {{"source", node.source.string()}, {"target", node.target}};
}
OrderedJson to_value(const LinkEdit& link) {
  return {{"path", link.path}, {"target", link.target}};
}
OrderedJson to_value(const runtime::EnvironmentEdit& edit) {
  return {{"name", edit.name}, {"value", edit.value ? OrderedJson(*edit.value) : OrderedJson()}};
}
OrderedJson to_value(const ProgramDirectory& directory) {
  return {{"path", directory.path}};
}
OrderedJson to_value(const HiddenNode& hidden) {
  return {{"path", hidden.path}};
}
OrderedJson to_value(const runtime::Renumbering& renumbered) {
  return {{"variable", renumbered.variable}, {"numbers", renumbered.numbers}};
}
OrderedJson to_value(const HookWarning& warning) {
  return {{"text", warning.text}};
}
OrderedJson to_value(const runtime::LoaderLibrary& library) {
  using enum runtime::LoaderArchitecture;
  const char* name = library.architecture == i386 ? "i386" : library.architecture == x86_64 ? "x86_64" : "aarch64";
  return {{"soname", library.soname}, {"path", library.path}, {"architecture", name}};
}

template <class Edit>
OrderedJson to_array(const std::vector<Edit>& edits) {
  OrderedJson array = OrderedJson::array();
  for (const Edit& each : edits) {
    OrderedJson value = to_value(each);
    value["origin"] = each.origin;
    array.push_back(std::move(value));
  }
  return array;
}

}  // namespace

std::string to_json(const Edits& edits) {
  OrderedJson json{{"devices", to_array(edits.devices)},   {"mounts", to_array(edits.mounts)},
                   {"links", to_array(edits.links)},       {"environment", to_array(edits.environment)},
                   {"programs", to_array(edits.programs)}, {"libraries", to_array(edits.libraries)},
                   {"hidden", to_array(edits.hidden)},     {"renumbered", to_array(edits.renumbered)},
                   {"warnings", to_array(edits.warnings)}};
  if (edits.forward_compat) {
    const bool is_always = edits.forward_compat->when == runtime::ForwardCompat::When::always;
    json["forward_compat"] = {{"when", is_always ? "always" : "automatic"},
                              {"driver", edits.forward_compat->driver_version}};
  }
  return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace mlctr::hooks
