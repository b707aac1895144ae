// What a hook makes of a container: a value, with who asked for each part (`origin`, the hook's name). The runtime
// carries it out by descriptor (runtime/container_edits.hpp); `--explain-hooks` prints it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/container_edits.hpp"
#include "runtime/device_hooks.hpp"
#include "runtime/environment.hpp"
#include "runtime/loader_library.hpp"
#include "runtime/mount.hpp"
#include "runtime/renumbering.hpp"

namespace mlctr::hooks {

/// A tmpfs in the container; what lies in it leaves nothing in the rootfs. The chain mounts it where something of the
/// edits lies below, and seals it.
inline constexpr const char* k_driver_directory = "/run/mlctr/driver";

/// A node of the host's, bound: it can't be made in a user namespace.
struct DeviceNode {
  std::filesystem::path source;  ///< on the host, as HostFile::path has it
  std::string target;            ///< in the container: "/dev/nvidia0"
  std::string origin;
};

/// Of the container's own tmpfs alone: below /run, /dev or k_driver_directory.
struct LinkEdit {
  std::string path, target;
  std::string origin;
};

/// A node that a container of the host's whole /dev must not open.
struct HiddenNode {
  std::string path;
  std::string origin;
};

/// A directory of programs, first in PATH.
struct ProgramDirectory {
  std::string path;
  std::string origin;
};

struct HookWarning {
  std::string text;
  std::string origin;
};

struct Edits {
  std::vector<DeviceNode> devices;
  std::vector<runtime::Mount> mounts;  ///< BindMount, FileMount, TmpfsMount …, in their order; the user's come after
  std::vector<LinkEdit> links;
  std::vector<runtime::EnvironmentEdit> environment;
  std::vector<ProgramDirectory> programs;
  std::vector<runtime::LoaderLibrary> libraries;         ///< first in the container's ld.so.cache
  std::optional<runtime::ForwardCompat> forward_compat;  ///< whether the image's own libcuda goes before those
  std::vector<HiddenNode> hidden;
  std::vector<runtime::DeviceHook> hooks;  ///< programs of the host's, as far as the admin allows them
  std::vector<runtime::Renumbering> renumbered;
  std::vector<HookWarning> warnings;

  bool empty() const noexcept;
};

/// `more` after `edits`; what both have (the same target) once. Throws Error where both put different files in one
/// place.
void merge(Edits& edits, Edits more);

/// A bind of a file or directory of a driver: read-only, no set-id bits, no devices.
runtime::Mount bind_read_only(std::filesystem::path source, std::string target);

/// A socket's: nosuid, nodev, noexec, but not read-only; skipped where it is gone by then.
runtime::Mount bind_socket(std::filesystem::path source, std::string target);

/// What the runtime carries out of them: nodes, mounts, links and hidden nodes in the order they have to be made in.
runtime::ContainerEdits carried_out(const Edits& edits);

/// What becomes of `environment`: the edits', and PATH with their directories first.
std::vector<runtime::EnvironmentEdit> environment_edits(const Edits& edits, const runtime::Environment& environment);

/// The edits as JSON text, indented: what `--explain-hooks` prints and golden tests compare.
std::string to_json(const Edits& edits);

}  // namespace mlctr::hooks
