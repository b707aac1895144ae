// One step of a build that changes files, all settled: what a process of its own carries out (step_process.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/fd.hpp"
#include "build/copy_job.hpp"
#include "build/rootfs_files.hpp"
#include "build/source_tree.hpp"
#include "containerfile/instruction.hpp"
#include "squashfs/merge.hpp"
#include "store/store.hpp"

namespace mlctr::build {

struct RunStep {
  std::vector<std::string> command;
  std::vector<std::string> environment;  ///< "NAME=VALUE"
  std::string directory;
  containerfile::RunNetwork network = containerfile::RunNetwork::standard;
  std::vector<containerfile::RunMount> mounts{};
  std::vector<std::optional<std::size_t>> mount_sources{};  ///< one a mount: its `from`, in StepJob::sources
  std::string script{};                                     ///< a heredoc that names its own interpreter
};

struct CopyStep {
  CopyJob job;
  std::optional<std::size_t> source{};  ///< in StepJob::sources; absent: the context
  std::filesystem::path downloads{};    ///< instead of either: a directory of ours
  std::optional<Digest> content{};      ///< what it must be, as the step's key has it
};

struct DirectoryStep {
  std::string path, owner;
};

struct StepJob {
  std::variant<RunStep, CopyStep, DirectoryStep> work;
  StageFiles below;
  std::vector<StageFiles> sources{};
};

/// What all steps of one build share. The descriptors are open in the process that forks them.
struct BuildPlaces {
  Store& store;
  std::filesystem::path place;    ///< this build's own directory, on a filesystem that overlayfs can write to
  std::filesystem::path caches;   ///< of RUN --mount=type=cache: one directory each
  std::filesystem::path scratch;  ///< ContainerSpec::scratch
  const SourceTree& context;
  const std::map<std::string, Fd>& secrets;  ///< by id, each a file
  squashfs::PackOptions packing;
  std::uint32_t time = 0;  ///< SOURCE_DATE_EPOCH, or what stands for it
};

using DownloadFiles =
    std::function<std::filesystem::path(const std::vector<std::string>& urls, const std::string& checksum)>;

/// Where RunStep::script is to be found.
inline constexpr const char* k_script_path = "/run/mlctr/script";

}  // namespace mlctr::build
