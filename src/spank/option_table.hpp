// The options that srun, sbatch and salloc get from the plugin: pyxis 0.24's names and meanings, and container-scope.
#pragma once

#include <array>
#include <cstddef>

namespace mlctr::spank {

/// The rows of k_options, in its order.
enum class Option : int {
  image,
  name,
  mounts,
  workdir,
  save,
  mount_home,
  no_mount_home,
  remap_root,
  no_remap_root,
  entrypoint,
  no_entrypoint,
  entrypoint_log,
  writable,
  readonly,
  env,
  unshare,
  scope
};

struct OptionRow {
  const char* name;      ///< without the dashes
  const char* argument;  ///< null: it takes none
  const char* variable;  ///< what follows MLCTR_CONTAINER_ and PYXIS_CONTAINER_; null: its opposite's says both
  const char* usage;
};

inline constexpr std::array<OptionRow, 17> k_options{{
    {"container-image", "[USER@][REGISTRY#]IMAGE[:TAG]|PATH", "IMAGE",
     "[mlctr] the image to use for the container filesystem. Can be a reference to an image of a registry "
     "(python:3.8, nvcr.io#nvidia/pytorch:24.01-py3), or a path to a squashfs file on the remote host filesystem; a "
     "path has a slash in it."},
    {"container-name", "NAME[:auto|create|exec|no_exec]", "NAME",
     "[mlctr] name to use for saving and loading the container on the host. Unnamed containers end with the step; "
     "named containers do not. If a container with this name already exists, the existing container is used."},
    {"container-mounts", "SRC:DST[:FLAGS][,SRC:DST...]", "MOUNTS",
     "[mlctr] bind mount[s] inside the container; also tmpfs:DST and umount:DST. Mount flags are separated with "
     "\"+\", e.g. \"ro+rprivate\""},
    {"container-workdir", "PATH", "WORKDIR", "[mlctr] working directory inside the container"},
    {"container-save", "PATH", "SAVE",
     "[mlctr] save the container state to a squashfs file on the remote host filesystem once the last task has ended"},
    {"container-mount-home", nullptr, "MOUNT_HOME", "[mlctr] mount the user's home directory (the default)"},
    {"no-container-mount-home", nullptr, nullptr, "[mlctr] do not mount the user's home directory"},
    {"container-remap-root", nullptr, "REMAP_ROOT",
     "[mlctr] ask to be remapped to root inside the container: apt, dpkg and pip can install. Does not grant elevated "
     "system permissions, despite appearances."},
    {"no-container-remap-root", nullptr, nullptr, "[mlctr] do not remap to root inside the container"},
    {"container-entrypoint", nullptr, "ENTRYPOINT", "[mlctr] execute the entrypoint from the container image"},
    {"no-container-entrypoint", nullptr, nullptr, "[mlctr] do not execute the entrypoint from the container image"},
    {"container-entrypoint-log", nullptr, "ENTRYPOINT_LOG", "[mlctr] print the output of the entrypoint script"},
    {"container-writable", nullptr, "WRITABLE", "[mlctr] make the container filesystem writable"},
    {"container-readonly", nullptr, "READONLY", "[mlctr] make the container filesystem read-only"},
    {"container-env", "NAME[,NAME...]", "ENV",
     "[mlctr] names of environment variables of which the job's value counts. Of all others the image's value takes "
     "precedence over the job's."},
    {"container-unshare", "NS[,NS...]", "UNSHARE",
     "[mlctr] create new namespaces for the container. Supported: net, ipc, uts."},
    {"container-scope", "global|job", "SCOPE",
     "[mlctr] whose --container-name is on the node: the user's, or this job's alone"},
}};

inline const OptionRow& row(Option option) {
  return k_options[static_cast<std::size_t>(option)];
}

}  // namespace mlctr::spank
