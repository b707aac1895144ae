#include "hooks/cdi_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "hooks/cdi_host_hook.hpp"
#include "hooks/cdi_mount.hpp"
#include "hooks/cdi_places.hpp"
#include "hooks/device_edits.hpp"
#include "hooks/document.hpp"
#include "hooks/loaded_library.hpp"
#include "hooks/nvidia_cdi_hook.hpp"
#include "hooks/nvidia_driver.hpp"
#include "hooks/nvidia_plan.hpp"

namespace mlctr::hooks {
namespace {

/// What one file says, for all of its devices or for one.
struct Part {
  const CdiFile* file;
  const CdiEdits* edits;
};

std::vector<Part> parts_of(std::span<const CdiDefinition> devices) {
  std::vector<Part> parts;
  std::set<const CdiFile*> seen;
  for (const CdiDefinition& definition : devices) {
    if (seen.insert(definition.file).second) parts.push_back({definition.file, &definition.file->spec.edits});
    parts.push_back({definition.file, &definition.device->edits});
  }
  return parts;
}

std::string place_in(const CdiFile& file, std::size_t line) {
  return fmt::format("{}:{}", file.path.string(), line);
}

[[noreturn]] void refuse_missing(const std::string& origin, const std::string& path) {
  throw Error(
      fmt::format("{}: {} is not on this host", origin, printable(path, 4096)),
      "the file may be of an earlier driver: its vendor's program writes it anew (NVIDIA's: sudo nvidia-ctk cdi "
      "generate --output=FILE)");
}

struct PlacedLink {
  CreateSymlinks::Link link;
  std::string origin;
};

class Planner {
 public:
  Planner(const HostView& host, const HookRequest& request, std::vector<Part> parts)
      : host_(host), request_(request), parts_(std::move(parts)), places_({}, request.settings.driver_lib_layout) {}

  Edits plan() {
    for (const Part& part : parts_) {
      for (const CdiHook& hook : part.edits->hooks) read_hook(*part.file, hook);
    }
    find_folders();
    for (const Part& part : parts_) add_part(part);
    for (const CdiMount* mount : ordered_mounts()) add_mount(*mount);
    for (const PlacedLink& link : links_) add_link(link);
    for (const runtime::LoaderLibrary& library : edits_.libraries) add_soname_link(library);
    add_program_directory();
    finish_nvidia();
    return std::move(edits_);
  }

 private:
  void read_hook(const CdiFile& file, const CdiHook& hook) {
    const std::string origin = place_in(file, hook.line);
    try {
      const auto known = parse_nvidia_cdi_hook(hook);
      const bool is_new = known && std::holds_alternative<UnknownNvidiaHook>(*known);
      if (known && !(is_new && is_allowed_hook(host_, request_.settings, hook))) {
        std::visit([&](const auto& each) { take(each, origin); }, *known);
      } else {
        run(hook, origin);
      }
    } catch (Error& error) {
      error.add_context(origin);
      throw;
    }
  }

  void take(const CreateSymlinks& links, const std::string& origin) {
    for (const auto& link : links.links) links_.push_back({link, origin});
  }
  void take(const UpdateLoaderCache& cache, const std::string&) {
    for (const std::string& folder : cache.folders) folders_.insert(folder);
  }
  void take(const EnableCudaCompat&, const std::string&) {
    if (const auto version = find_nvidia_version(host_)) set_forward_compat(edits_, *version, request_.settings);
  }
  void take(const DisableNodeModification&, const std::string&) { may_change_nodes_ = false; }
  void take(const ChangeModes&, const std::string&) {}  // of directories that are 0755 as we make them
  // Nothing to do: /proc/driver/nvidia and /dev show EGL no GPU that is not the container's.
  void take(const UpdateApplicationProfile&, const std::string&) {}
  void take(const UnknownNvidiaHook& hook, const std::string& origin) {
    warn(origin, fmt::format("the hook {} of NVIDIA's is not known here, and left out", printable(hook.name)));
  }

  void run(const CdiHook& hook, const std::string& origin) {
    edits_.hooks.push_back(plan_host_hook(host_, request_.settings, hook, origin));
    if (!hook.environment.empty()) warn(origin, "a hook's env is left out: it gets no variables");
  }

  void warn(const std::string& origin, const std::string& text) {
    edits_.warnings.push_back({fmt::format("{}: {}", origin, text), ""});
  }

  // Whether a folder is for 32-bit programs, its libraries say.
  void find_folders() {
    std::set<std::string> for_32_bits;
    for (const Part& part : parts_) {
      for (const CdiMount& mount : part.edits->mounts) {
        const std::string folder = std::filesystem::path(mount.container_path).parent_path();
        if (!folders_.contains(folder)) continue;
        const auto library = read_loaded_library(host_, mount.host_path);
        if (library && library->architecture == runtime::LoaderArchitecture::i386) for_32_bits.insert(folder);
      }
    }
    std::vector<CdiFolder> folders;
    for (const std::string& folder : folders_) folders.push_back({folder, for_32_bits.contains(folder)});
    places_ = CdiPlaces(std::move(folders), request_.settings.driver_lib_layout);
  }

  void add_part(const Part& part) {
    const std::string& file = part.file->path.string();
    for (const std::string& field : part.edits->not_possible) {
      edits_.warnings.push_back({fmt::format("{}: {} needs more rights than yours, and is left out", file, field), ""});
    }
    for (const std::string& entry : part.edits->environment) {
      const std::size_t equals = entry.find('=');
      edits_.environment.push_back({entry.substr(0, equals), entry.substr(equals + 1), file});
    }
    for (const CdiNode& node : part.edits->nodes) add_node(node, place_in(*part.file, node.line));
    for (const CdiMount& mount : part.edits->mounts) {
      std::erase_if(mounts_, [&](const auto& other) { return other->container_path == mount.container_path; });
      mounts_.push_back(&mount);
      origins_[&mount] = place_in(*part.file, mount.line);
    }
  }

  // A node that the file gives twice is what the file says last.
  void add_node(const CdiNode& node, const std::string& origin) {
    const auto found = host_.find(node.host_path);
    if (!found) refuse_missing(origin, node.host_path);
    std::erase_if(edits_.devices, [&](const DeviceNode& other) { return other.target == node.path; });
    edits_.devices.push_back({found->path, node.path, origin});
  }

  // A directory before what is mounted in it.
  std::vector<const CdiMount*> ordered_mounts() const {
    std::vector<const CdiMount*> ordered = mounts_;
    std::ranges::stable_sort(ordered, {}, [](const CdiMount* mount) {
      return std::ranges::count(std::filesystem::path(mount->container_path).lexically_normal().string(), '/');
    });
    return ordered;
  }

  void add_mount(const CdiMount& mount) {
    const std::string& origin = origins_.at(&mount);
    if (is_kernels_own(mount)) return;
    try {
      runtime::Mount planned = plan_cdi_mount(mount);
      planned.origin = origin;
      if (auto* bind = std::get_if<runtime::BindMount>(&planned.source)) place_bind(planned, *bind, mount, origin);
      edits_.mounts.push_back(std::move(planned));
    } catch (const DocumentError& error) {
      throw Error(fmt::format("{}: {}", origin, error.message()));
    }
  }

  void place_bind(runtime::Mount& planned, runtime::BindMount& bind, const CdiMount& mount, const std::string& origin) {
    const auto found = host_.find(mount.host_path);
    if (!found) refuse_missing(origin, mount.host_path);
    bind.source = found->path;
    if (found->kind != HostFileKind::regular) return;
    planned.target = places_.place_of(mount.container_path);
    if (places_.is_in_folder(mount.container_path)) add_library(mount, planned.target, origin);
  }

  void add_library(const CdiMount& mount, const std::string& target, const std::string& origin) {
    auto library = read_loaded_library(host_, mount.host_path);
    if (!library) return;
    library->path = target;
    library->origin = origin;
    const auto is_same = [&](const runtime::LoaderLibrary& other) {
      return other.soname == library->soname && other.architecture == library->architecture;
    };
    if (std::ranges::none_of(edits_.libraries, is_same)) edits_.libraries.push_back(std::move(*library));
  }

  // Firmware is the kernel's to load.
  static bool is_kernels_own(const CdiMount& mount) {
    return mount.container_path.find("/firmware/nvidia/") != std::string::npos;
  }

  void add_link(const PlacedLink& placed) {
    const std::filesystem::path asked = placed.link.path;
    const std::filesystem::path leads_to = (asked.parent_path() / placed.link.target).lexically_normal();
    const std::filesystem::path path = places_.place_of(asked.string()), target = places_.place_of(leads_to.string());
    const bool is_beside = path != asked && target != leads_to;
    const std::string text = is_beside       ? target.lexically_relative(path.parent_path()).string()
                             : path == asked ? placed.link.target
                                             : target.string();
    add_link_at(path.string(), text, placed.origin);
  }

  void add_link_at(const std::string& path, const std::string& target, const std::string& origin) {
    const bool is_own = is_below(path, "/run") || is_below(path, "/dev");
    if (!is_own) {
      edits_.mounts.push_back({.source = runtime::LinkNode{target}, .target = path, .origin = origin});
    } else if (std::ranges::find(edits_.links, path, &LinkEdit::path) == edits_.links.end()) {
      edits_.links.push_back({path, target, origin});
    }
  }

  // ldconfig makes these beside the libraries.
  void add_soname_link(const runtime::LoaderLibrary& library) {
    const std::filesystem::path path(library.path);
    if (!is_below(path, k_driver_directory) || path.filename() == library.soname) return;
    add_link_at(path.parent_path() / library.soname, path.filename(), library.origin);
  }

  void finish_nvidia() {
    std::vector<SelectedGpu> selected;
    std::vector<std::string> others;
    for (NvidiaGpu& gpu : list_nvidia_gpus(host_)) {
      const std::string node = fmt::format("/dev/nvidia{}", gpu.minor);
      const bool is_given = std::ranges::find(edits_.devices, node, &DeviceNode::target) != edits_.devices.end();
      if (is_given) selected.push_back({std::move(gpu), {}});
      if (!is_given) others.push_back(node);
    }
    if (!may_change_nodes_) add_driver_proc(edits_, host_, selected);
    if (selected.empty()) return;
    for (const std::string& node : others) hide_device(edits_, request_, node);
  }

  void add_program_directory() {
    const std::string directory = std::string(k_driver_directory) + "/bin";
    const auto is_in = [&](const std::string& path) { return is_below(path, directory); };
    if (std::ranges::any_of(edits_.mounts, is_in, &runtime::Mount::target) ||
        std::ranges::any_of(edits_.links, is_in, &LinkEdit::path)) {
      edits_.programs.push_back({directory, ""});
    }
  }

  const HostView& host_;
  const HookRequest& request_;
  std::vector<Part> parts_;
  CdiPlaces places_;
  std::set<std::string> folders_{};
  std::vector<PlacedLink> links_{};
  std::vector<const CdiMount*> mounts_{};
  std::map<const CdiMount*, std::string> origins_{};
  bool may_change_nodes_ = true;
  Edits edits_{};
};

}  // namespace

Edits plan_cdi_devices(const HostView& host, const HookRequest& request, std::span<const CdiDefinition> devices) {
  return Planner(host, request, parts_of(devices)).plan();
}

}  // namespace mlctr::hooks
