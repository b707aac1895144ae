// The options that ask Slurm's srun for a container, in pyxis's words and with pyxis 0.24's meaning: those of `mlctr
// srun`, of `mlctr step` and of the plugin. Each is also a variable, for which an option on the command line goes
// first: MLCTR_CONTAINER_…, then PYXIS_CONTAINER_….
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::cli {

struct ContainerOption {
  const char* name;      ///< without the dashes
  const char* argument;  ///< what it takes; null: nothing
  const char* help;
  const char* variable;  ///< what follows MLCTR_CONTAINER_; null: none (that of the option it negates says both)
};

inline constexpr std::array<ContainerOption, 17> k_container_options{{
    {"container-image", "IMAGE|PATH",
     "Image to run in: a reference (python:3.8, nvcr.io#nvidia/pytorch:24.01-py3) or the path of a .sqsh file, which "
     "has "
     "a slash in it",
     "IMAGE"},
    {"container-name", "NAME[:auto|create|exec|no_exec]",
     "Container whose changes stay on the node under this name; made from --container-image if it is not there",
     "NAME"},
    {"container-mounts", "SRC[:DST[:OPT+OPT]][,SRC...]",
     "Mounts in the container: files, directories, .sqsh files, tmpfs:DST, umount:DST", "MOUNTS"},
    {"container-workdir", "PATH", "Working directory in the container", "WORKDIR"},
    {"container-save", "PATH", "Write the container to this squashfs file once the last task has ended", "SAVE"},
    {"container-mount-home", nullptr, "See your home in the container (the default)", "MOUNT_HOME"},
    {"no-container-mount-home", nullptr, "Don't see your home in the container", nullptr},
    {"container-remap-root", nullptr, "Be root in the container: apt, pip and dpkg can install", "REMAP_ROOT"},
    {"no-container-remap-root", nullptr, "Be yourself in the container (the default)", nullptr},
    {"container-entrypoint", nullptr, "Run the image's entrypoint when the container starts", "ENTRYPOINT"},
    {"no-container-entrypoint", nullptr, "Don't run the image's entrypoint (the default)", nullptr},
    {"container-entrypoint-log", nullptr, "Show what the entrypoint prints", "ENTRYPOINT_LOG"},
    {"container-writable", nullptr, "Files of the container can change (the default)", "WRITABLE"},
    {"container-readonly", nullptr, "No file of the container can change", "READONLY"},
    {"container-env", "NAME[,NAME...]", "Variables of which the job's value counts, not the image's", "ENV"},
    {"container-unshare", "NS[,NS...]", "Namespaces of the container's own: net, ipc, uts", "UNSHARE"},
    // Not pyxis's:
    {"container-scope", "global|job",
     "Whose a --container-name is on the node: yours (the default), or the job's alone", "SCOPE"},
}};

/// One of them as a command line has it; `value` is empty where the option takes none.
struct GivenOption {
  const ContainerOption* option;
  std::string value;
};

struct TakenOption {
  GivenOption given;
  std::size_t words;  ///< 1 or 2: "--container-image=X", "--container-image X"
};

/// The option at words[at]; abbreviated as getopt_long(3) allows it ("--container-im"). Absent where that is none of
/// these, but srun's own ("--container", "--container-id"). Throws UsageError: argument missing, abbreviation
/// ambiguous.
std::optional<TakenOption> take_container_option(const std::vector<std::string>& words, std::size_t at);

/// As a word that take_container_option() reads back: "--container-image=X".
std::string to_word(const GivenOption& given);

/// What variables of `environment` ("NAME=VALUE" each) ask beside `given`: those whose option is not given.
std::vector<GivenOption> options_of_variables(const std::vector<std::string>& environment,
                                              const std::vector<GivenOption>& given);

}  // namespace mlctr::cli
