#include "hooks/edits.hpp"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <variant>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::uint64_t k_quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

bool is_same(const DeviceNode& left, const DeviceNode& right) {
  return left.target == right.target;
}
bool is_same(const LinkEdit& left, const LinkEdit& right) {
  return left.path == right.path;
}
bool is_same(const ProgramDirectory& left, const ProgramDirectory& right) {
  return left.path == right.path;
}
bool is_same(const HiddenNode& left, const HiddenNode& right) {
  return left.path == right.path;
}
bool is_same(const runtime::Renumbering& left, const runtime::Renumbering& right) {
  return left.variable == right.variable;
}
bool is_same(const HookWarning& left, const HookWarning& right) {
  return left.text == right.text;
}
bool is_same(const runtime::LoaderLibrary& left, const runtime::LoaderLibrary& right) {
  return left.soname == right.soname && left.architecture == right.architecture;
}

[[noreturn]] void refuse(const std::string& target, const std::string& left, const std::string& right) {
  throw Error(fmt::format("{} and {} put different files at {} in the container", left, right, printable(target, 4096)),
              "ask for the device by one of them alone: --gpus or --device");
}

void check_same(const DeviceNode& left, const DeviceNode& right) {
  if (left.source != right.source) refuse(left.target, left.origin, right.origin);
}
void check_same(const LinkEdit& left, const LinkEdit& right) {
  if (left.target != right.target) refuse(left.path, left.origin, right.origin);
}
template <class Edit>
void check_same(const Edit&, const Edit&) {}

template <class Edit>
void add_new(std::vector<Edit>& edits, std::vector<Edit>& more) {
  for (Edit& each : more) {
    const auto there = std::ranges::find_if(edits, [&](const Edit& other) { return is_same(other, each); });
    if (there == edits.end()) {
      edits.push_back(std::move(each));
    } else {
      check_same(*there, each);
    }
  }
}

// A mount is done twice only where both are the same bind.
bool is_known(const std::vector<runtime::Mount>& mounts, const runtime::Mount& mount) {
  return std::ranges::any_of(mounts, [&](const runtime::Mount& other) {
    const auto* left = std::get_if<runtime::BindMount>(&other.source);
    const auto* right = std::get_if<runtime::BindMount>(&mount.source);
    return left != nullptr && right != nullptr && other.target == mount.target && left->source == right->source;
  });
}

}  // namespace

bool Edits::empty() const noexcept {
  return devices.empty() && mounts.empty() && links.empty() && environment.empty() && programs.empty() &&
         libraries.empty() && !forward_compat && hidden.empty() && hooks.empty() && renumbered.empty() &&
         warnings.empty();
}

void merge(Edits& edits, Edits more) {
  add_new(edits.devices, more.devices);
  for (runtime::Mount& mount : more.mounts) {
    if (!is_known(edits.mounts, mount)) edits.mounts.push_back(std::move(mount));
  }
  add_new(edits.links, more.links);
  edits.environment.insert(edits.environment.end(), std::make_move_iterator(more.environment.begin()),
                           std::make_move_iterator(more.environment.end()));
  add_new(edits.programs, more.programs);
  add_new(edits.libraries, more.libraries);
  if (!edits.forward_compat) edits.forward_compat = std::move(more.forward_compat);
  add_new(edits.hidden, more.hidden);
  edits.hooks.insert(edits.hooks.end(), std::make_move_iterator(more.hooks.begin()),
                     std::make_move_iterator(more.hooks.end()));
  add_new(edits.renumbered, more.renumbered);
  add_new(edits.warnings, more.warnings);
}

runtime::Mount bind_read_only(std::filesystem::path source, std::string target) {
  return {.source = runtime::BindMount{std::move(source)},
          .target = std::move(target),
          .attributes = k_quiet | MOUNT_ATTR_RDONLY};
}

runtime::Mount bind_socket(std::filesystem::path source, std::string target) {
  return {.source = runtime::BindMount{std::move(source)},
          .target = std::move(target),
          .attributes = k_quiet | MOUNT_ATTR_NOEXEC,
          .if_missing = runtime::IfMissing::skip};
}

runtime::ContainerEdits carried_out(const Edits& edits) {
  constexpr std::uint64_t k_node = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;  // a node stays writable
  runtime::ContainerEdits out;
  for (const DeviceNode& node : edits.devices) {
    out.mounts.push_back({.source = runtime::BindMount{node.source},
                          .target = node.target,
                          .attributes = k_node,
                          .origin = node.origin});
  }
  out.mounts.insert(out.mounts.end(), edits.mounts.begin(), edits.mounts.end());
  for (const LinkEdit& link : edits.links) {
    out.mounts.push_back({.source = runtime::LinkNode{link.target}, .target = link.path, .origin = link.origin});
  }
  // open(2) of it gives EACCES then, for root too.
  for (const HiddenNode& hidden : edits.hidden) {
    out.mounts.push_back({.source = runtime::ContainerTree{hidden.path},
                          .target = hidden.path,
                          .attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                          .if_no_target = runtime::IfNoTarget::fail,
                          .origin = hidden.origin});
  }
  const bool has_driver =
      std::ranges::any_of(edits.mounts, [](const auto& mount) { return mount.target == k_driver_directory; });
  if (has_driver) {
    out.mounts.push_back(
        {.source = runtime::ChangedMount{}, .target = k_driver_directory, .attributes = MOUNT_ATTR_RDONLY});
  }
  out.loader = {edits.libraries, edits.forward_compat};
  out.hooks = edits.hooks;
  return out;
}

std::vector<runtime::EnvironmentEdit> environment_edits(const Edits& edits, const runtime::Environment& environment) {
  std::vector<runtime::EnvironmentEdit> changes = edits.environment;
  if (edits.programs.empty()) return changes;
  std::string path;
  for (const ProgramDirectory& directory : edits.programs) path += directory.path + ":";
  path += environment.has("PATH") ? environment.value("PATH") : runtime::k_default_path;
  changes.push_back({"PATH", path, edits.programs[0].origin});
  return changes;
}

}  // namespace mlctr::hooks
