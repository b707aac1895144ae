// Builds a container around the calling process: its own mount namespace, the rootfs (an overlay of a writable
// directory over the image), the plan's mounts, and the root changed to it (DESIGN decision 5).
#pragma once

#include <filesystem>
#include <optional>
#include <variant>
#include <vector>

#include "runtime/container_edits.hpp"
#include "runtime/container_server.hpp"
#include "runtime/hook_scripts.hpp"
#include "runtime/host.hpp"
#include "runtime/identity.hpp"
#include "runtime/mount.hpp"
#include "runtime/rootfs_choice.hpp"

namespace mlctr::runtime {

/// Changes live in memory and end with the container.
struct TmpfsUpper {};

/// Changes stay in `upper`; `work` is overlayfs's own. Both on one local filesystem, used by one container at a time.
struct DirectoryUpper {
  std::filesystem::path upper, work;
};

enum class RootfsAccess { read_only, read_write };

/// add: who runs programs in it finds a name for his ids, as a mount where the image has none.
enum class UserEntries { add, leave };

struct ContainerSpec {
  Identity identity;
  int own_namespaces = 0;  ///< beside user and mount: CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS; not CLONE_NEWPID
  std::variant<TmpfsUpper, DirectoryUpper> upper = TmpfsUpper{};
  RootfsAccess access =
      RootfsAccess::read_write;  ///< read_only: what the mounts need is made, then the rootfs is sealed
  std::vector<Mount> mounts;
  ContainerEdits edits{};  ///< made after those
  HookScripts hooks{};     ///< run then
  std::vector<Mount> mounts_after_hooks{};
  Host host;
  std::filesystem::path
      scratch;  ///< an empty directory of the user's; covered by a tmpfs, in the container's view alone
  RootfsChoice choice = RootfsChoice::automatic;
  CopyState copy = CopyState::absent;  ///< of fallback.copy, from an earlier run
  RootfsFallback fallback;             ///< all of it must be there
  UserEntries user_entries = UserEntries::add;
  /// images[1] to images[layers] of the server: layer files over images[0], the lowest first.
  std::size_t layers = 0;
  /// Other trees, of the images that come after those: of how many each is made, an image and the layer files over it.
  std::vector<std::size_t> stacks{};
};

struct BuiltContainer {
  Fd upper;  ///< the upper directory, still open for who wants to see what changed; empty where there is none
  std::vector<EnvironmentEdit> environment;  ///< what the hooks make of the program's
  std::vector<std::string> made;             ///< empty files and directories, for `edits` to be mounted on
  std::vector<Fd> stacks{};                  ///< the roots of spec.stacks, read-only; nowhere in the container
  Fd files;                                  ///< a directory of its own tmpfs, nowhere in the container
};

/// Call it in a single-threaded process that has entered its user namespace. Returns inside; images[0] of `server` is
/// the rootfs's, then come its layers, those of spec.stacks, and the squashfs files of spec.mounts and of
/// spec.mounts_after_hooks. Nobody else gets
/// in before server.open_door(). Throws Error; the process is good for nothing but to say so then.
BuiltContainer build_container(const ContainerSpec& spec, const ContainerServer& server);

}  // namespace mlctr::runtime
